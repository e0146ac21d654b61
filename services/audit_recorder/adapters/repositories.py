"""The recorder's repositories, bound to one transaction."""

from libs.common.storage.transaction import Transaction
from services.audit_recorder.adapters.chains import PostgresChains
from services.audit_recorder.adapters.read_models import PostgresReadModels


class PostgresRepositories:
    """What a transaction of the recorder writes."""

    def __init__(self, transaction: Transaction) -> None:
        self.chains = PostgresChains(transaction)
        self.read_models = PostgresReadModels(transaction)
