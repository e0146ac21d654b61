"""A deployment as the place of a command: what `trader` finds in a data directory, it is told by TRADER_… variables.

Invariant: only what a halt needs is read here; a missing secret shows where it is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.place import Place
from libs.common.settings import ServiceSettings, load_settings
from libs.embedded.directory import DataDirectory

if TYPE_CHECKING:
    from libs.common.configuration import TradingConfiguration
    from libs.common.messaging.kafka import Kafka
    from libs.common.storage.postgres import Database

USER: Final = "trader"
OUR_POSTGRES: Final = "postgres"
"""The service of the compose file; a database elsewhere is backed up by whoever runs it."""

_PROCESSES: Final = """
    SELECT DISTINCT ON (component) component AS name,
           ready AND heartbeat_at > clock_timestamp() - interval '10 s' AS ready,
           extract(epoch FROM clock_timestamp() - started_at)::float AS uptime_s
    FROM system_status ORDER BY component, heartbeat_at DESC
"""


@dataclass(frozen=True, slots=True)
class Deployment(Place):
    """A deployment.

    Attributes:
        settings: Where its parts are.
    """

    settings: ServiceSettings

    @property
    def secrets(self) -> Path:
        """The directory of its secrets."""
        return self.settings.secrets_dir

    @property
    def halt_dir(self) -> Path:
        """The directory of its `HALT` files."""
        return self.settings.halt_dir

    @property
    def has_backups(self) -> bool:
        """Whether the service `backup` backs up its database."""
        return self.settings.postgres_address.partition(":")[0] == OUR_POSTGRES

    def configuration(self) -> "TradingConfiguration":
        """Return the configuration that it was started with."""
        from libs.common.configuration import load_configuration  # noqa: PLC0415 - pydantic's models cost time

        return load_configuration(self.settings.config_files)

    def kafka(self) -> "Kafka":
        """Return its cluster."""
        from libs.common.messaging.kafka import Kafka  # noqa: PLC0415 - aiokafka costs half a second

        return Kafka(
            self.settings.kafka_bootstrap_servers,
            client_id=USER,
            topic_prefix=self.settings.topic_prefix,
            login=self.settings.kafka_login(USER),
        )

    async def process_rows(self, database: "Database") -> Sequence[Mapping[str, Any]]:
        """Return its processes as they told of themselves last."""
        async with database.connection() as connection:
            return [dict(row) for row in await connection.fetch(_PROCESSES)]


def find_deployment(data_dir: Path) -> Deployment:
    """Return the deployment that the environment tells of.

    Raises:
        ConfigurationError: A variable or a secret file is wrong.
    """
    settings = load_settings(ServiceSettings)
    endpoints = {
        "kafka": settings.kafka_bootstrap_servers,
        "postgres": settings.postgres_dsn("reader"),
        "redis": settings.redis_url(),
        "exchange_rest": settings.exchange_rest_url,
        "exchange_ws": settings.exchange_ws_url,
        "operator_key_file": str(settings.secrets_dir / "operator.pem"),
    }
    return Deployment(DataDirectory(data_dir), endpoints, settings)
