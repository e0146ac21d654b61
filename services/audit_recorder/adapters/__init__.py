"""The audit recorder's tables: the chains, the read models, and the months that they are divided into."""

from services.audit_recorder.adapters.chains import PostgresChains, PostgresHeads
from services.audit_recorder.adapters.months import keep_months, sizes
from services.audit_recorder.adapters.read_models import PostgresReadModels
from services.audit_recorder.adapters.repositories import PostgresRepositories

__all__ = ["PostgresChains", "PostgresHeads", "PostgresReadModels", "PostgresRepositories", "keep_months", "sizes"]
