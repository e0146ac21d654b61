"""The processes of an embedded stack and the settings of each: the only place that knows all of them.

Every service is told where the others are by environment variables, and gets secrets only as files.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cli.stack.exchange import EXCHANGE, exchange_service
from cli.stack.exchange_keys import KEY_RIGHTS, VISITOR, write_key_files
from libs.common.configuration import TradingConfiguration
from libs.common.configuration.loading import ORIGINS
from libs.common.control.operators import OperatorKey, Operators
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from libs.common.storage.migrations import LOGINS
from libs.embedded.command import run_to_end
from libs.embedded.directory import write_atomically
from libs.embedded.services import Service, python_module
from libs.embedded.stack import Stack
from libs.embedded.stores.store import LOOPBACK
from libs.embedded.supervisor import Job

DATABASE_JOB: Final = "database"
TOPICS_JOB: Final = "topics"
KEYS_JOB: Final = "exchange keys"
SET_UP: Final = ("redis", DATABASE_JOB, TOPICS_JOB)
WATCHED: Final = (
    "market_monitor",
    "signal_generator",
    "risk_manager",
    "trade_executor",
    "position_manager",
    "notifier",
    "audit_recorder",
)
PASSED_ON: Final = ("TRADER_LOG_LEVEL",)
PASSED_ON_TO: Final[Mapping[str, tuple[str, ...]]] = {
    "watchdog": (
        "TRADER_WEBHOOK_URL",
        "TRADER_WEBHOOK_URLS_FILE",
        "TRADER_HEARTBEAT_URL",
        "TRADER_HEARTBEAT_INTERVAL_S",
    ),
}
"""Variables of `trader up` that services have, too: all of them, and some alone, since addresses may be secrets."""

MIGRATION_S_MAX: Final = 60.0
INSTALLATION_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What to start: the services and the jobs before them.

    Attributes:
        configuration: What is traded.
        start_active: A fresh installation starts ACTIVE: only the demonstrations do.
        origins: Where each value of the configuration comes from, by dotted key.
        variables: The environment of `trader up`.
    """

    stack: Stack
    configuration: TradingConfiguration
    start_active: bool
    origins: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The data directory."""
        return self.stack.directory.root

    @property
    def exchange_dir(self) -> Path:
        """The paper exchange's own data directory."""
        return self.root / EXCHANGE

    @property
    def exchange_rest(self) -> str:
        """Base address of the paper exchange's REST API."""
        return f"http://{LOOPBACK}:{self.stack.port(EXCHANGE)}"

    @property
    def exchange_ws(self) -> str:
        """Base address of the paper exchange's streams."""
        return f"ws://{LOOPBACK}:{self.stack.port(EXCHANGE)}"

    def prepare(self) -> None:
        """Write the files that the services read: configuration, operators, their database passwords."""
        (self.root / "halt").mkdir(mode=0o700, exist_ok=True)
        content = {ORIGINS: dict(self.origins), **self.configuration.model_dump(mode="json")}
        write_atomically(self._configuration_file, json.dumps(content, indent=2, ensure_ascii=False))
        scenario = self.configuration.market.generated.model_dump(mode="json")
        write_atomically(self._scenario_file, json.dumps(scenario))
        for role in LOGINS:
            self.stack.passwords.password(f"postgres-{role}")
        if not self._operators_file.exists():  # else its keys are whom they are, this one revoked perhaps
            if not self.operator_key_file.exists():
                OperatorKey.generate().save(self.operator_key_file)
            key = OperatorKey.load(self.operator_key_file)
            Operators({}).with_key(key, issuer="operator").save(self._operators_file)

    def jobs(self) -> list[Job]:
        """Return what is done once, between the stores and the services."""
        return [
            Job(name=DATABASE_JOB, run=self._migrate, depends_on=("postgres",), deadline_s=MIGRATION_S_MAX),
            Job(name=TOPICS_JOB, run=self._apply_topics, depends_on=("kafka",)),
            Job(name=KEYS_JOB, run=self._write_key_files, depends_on=(EXCHANGE,)),
        ]

    def services(self) -> list[Service]:
        """Return every process besides the stores."""
        after_exchange = (*SET_UP, EXCHANGE, KEYS_JOB)
        exchange = exchange_service(
            self.configuration.market,
            self.configuration.symbols,
            self.configuration.exchange.accounts,
            port=self.stack.port(EXCHANGE),
            data_dir=self.exchange_dir,
            scenario_file=self._scenario_file,
        )
        return [
            exchange,
            self._service("audit_recorder", depends_on=SET_UP),
            self._service("notifier", depends_on=SET_UP),
            self._service("signal_generator", depends_on=SET_UP),
            self._service("market_monitor", depends_on=after_exchange),
            self._service("risk_manager", depends_on=after_exchange),
            self._service("trade_executor", depends_on=after_exchange),
            self._service("position_manager", depends_on=after_exchange),
            # Last to start and so first to stop: an orderly end of those it watches is no silence.
            self._service("watchdog", depends_on=WATCHED),
        ]

    def endpoints(self) -> dict[str, Any]:
        """Return what `trader endpoints` adds to the stores' addresses, once the exchange is ready."""
        exchange = json.loads((self.exchange_dir / "exchange.json").read_text(encoding="utf-8"))
        accounts = exchange["exchange_accounts"]
        password = self.stack.passwords.password("postgres-reader")
        return {
            "postgres": f"postgresql://reader:{password}@{self._postgres_address}",
            "exchange_rest": self.exchange_rest,
            "exchange_ws": self.exchange_ws,
            "exchange_accounts": {name: accounts[name] for name in (*self.configuration.exchange.accounts, VISITOR)},
            "dashboard": None,
            "operator_key_file": str(self.operator_key_file),
        }

    @property
    def operator_key_file(self) -> Path:
        """The private key that `trader` signs commands with."""
        return self.stack.directory.secrets / "operator.pem"

    @property
    def _operators_file(self) -> Path:
        return self.root / "operators.json"

    @property
    def _configuration_file(self) -> Path:
        return self.stack.directory.run / "configuration.json"

    @property
    def _scenario_file(self) -> Path:
        return self.stack.directory.run / "scenario.json"

    @property
    def _postgres_address(self) -> str:
        return self.stack.addresses.postgres.rpartition("@")[2]

    @property
    def _redis_address(self) -> str:
        return self.stack.addresses.redis.rpartition("@")[2]

    def _installation(self) -> str:
        """Six characters that stay the same for this data directory."""
        secret = self.stack.passwords.password("installation")
        number = int.from_bytes(secret.encode())
        digits = []
        for _ in range(6):
            number, digit = divmod(number, len(INSTALLATION_DIGITS))
            digits.append(INSTALLATION_DIGITS[digit])
        return "".join(digits)

    def _service(self, name: str, *, depends_on: tuple[str, ...]) -> Service:
        return Service(
            name=name,
            command=python_module(f"services.{name}"),
            environment={**self._environment(), **self._own_environment(name)},
            depends_on=depends_on,
        )

    def _environment(self) -> dict[str, str]:
        root = self.root
        return {
            "TRADER_KAFKA_BOOTSTRAP_SERVERS": self.stack.addresses.kafka,
            "TRADER_POSTGRES_ADDRESS": self._postgres_address,
            "TRADER_REDIS_ADDRESS": self._redis_address,
            "TRADER_SECRETS_DIR": str(self.stack.directory.secrets),
            "TRADER_CONFIG_FILES": json.dumps([str(self._configuration_file)]),
            "TRADER_INSTALLATION": self._installation(),
            "TRADER_EXCHANGE_REST_URL": self.exchange_rest,
            "TRADER_EXCHANGE_WS_URL": self.exchange_ws,
            "TRADER_HALT_DIR": str(root / "halt"),
            "TRADER_OPERATORS_FILE": str(self._operators_file),
            "TRADER_START_ACTIVE": str(self.start_active).lower(),
        }

    def _own_environment(self, name: str) -> dict[str, str]:
        passed_on = (*PASSED_ON, *PASSED_ON_TO.get(name, ()))
        told = {variable.upper(): value for variable, value in self.variables.items()}  # as settings read them
        own = {variable: told[variable] for variable in passed_on if variable in told}
        if name in KEY_RIGHTS:
            own["TRADER_EXCHANGE_KEYS_FILE"] = str(self._keys_file(KEY_RIGHTS[name]))
        if name == "audit_recorder":
            own["TRADER_ANCHORS_FILE"] = str(self.root / "anchors" / "audit.jsonl")
        if name == "watchdog":
            targets = {target: f"http://{LOOPBACK}:{self.stack.port(f'{target}.health')}" for target in WATCHED}
            own["TRADER_TARGETS"] = json.dumps(targets)
        return own

    def _keys_file(self, right: str) -> Path:
        return self.stack.directory.secrets / f"exchange-{right}.json"

    async def _migrate(self) -> None:
        await run_to_end(
            (sys.executable, "-m", "cli", "db", "upgrade"),
            environment={"PATH": "/usr/bin:/bin", "PYTHONSAFEPATH": "1", **self._environment()},
            working_directory=Path.cwd(),
            deadline_s=MIGRATION_S_MAX,
        )

    async def _apply_topics(self) -> None:
        await apply_topics(Kafka(self.stack.addresses.kafka, client_id="trader"))

    async def _write_key_files(self) -> None:
        write_key_files(self.exchange_dir / "keys.json", self._keys_file)
