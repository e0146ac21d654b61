"""The audit recorder's tables: the chains, the read models, and what is pruned of them."""

from services.audit_recorder.adapters.chains import PostgresChains, PostgresHeads
from services.audit_recorder.adapters.read_models import PostgresReadModels
from services.audit_recorder.adapters.repositories import PostgresRepositories
from services.audit_recorder.adapters.retention import prune

__all__ = ["PostgresChains", "PostgresHeads", "PostgresReadModels", "PostgresRepositories", "prune"]
