"""The recorder's repositories, bound to the connection of one transaction."""

from libs.common.storage.postgres import Connection
from services.audit_recorder.adapters.chains import PostgresChains
from services.audit_recorder.adapters.read_models import PostgresReadModels


class PostgresRepositories:
    """What a transaction of the recorder writes."""

    def __init__(self, connection: Connection) -> None:
        self.chains = PostgresChains(connection)
        self.read_models = PostgresReadModels(connection)
