"""The real services, wired by their own `__main__`, on simulated surroundings.

Invariant: what stands in for something is what a process cannot decide by itself: stores, the network, the clock.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import lru_cache
from logging import CRITICAL
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch

import structlog

import services.position_manager.__main__ as position_manager
import services.risk_manager.__main__ as risk_manager
import services.trade_executor.__main__ as trade_executor
import services.watchdog.__main__ as watchdog
from libs.common.configuration import load_sourced
from libs.common.contracts.codec import decode
from libs.common.messaging.deadlines import every
from libs.common.messaging.owner import Owner
from libs.common.messaging.publisher import Publisher
from libs.common.runtime import Runtime
from libs.common.runtime.running import HEARTBEAT_INTERVAL_S
from libs.common.settings import ServiceSettings
from libs.common.storage.redis import RedisStore
from services.position_manager.settings import Settings as PositionSettings
from services.risk_manager.settings import Settings as RiskSettings
from services.trade_executor.settings import Settings as ExecutorSettings
from services.watchdog.settings import Settings as WatchdogSettings
from tests.service.position_manager.world import FakeLedger
from tests.service.risk_manager.builders import ALICE, OPERATORS
from tests.service.risk_manager.builders import FakeRecords as FakeRiskRecords
from tests.simulation.cluster import Cluster, SimulatedKafka
from tests.simulation.connections import SimulatedBinance
from tests.simulation.database import Postgres
from tests.simulation.exchange import KEY
from tests.simulation.machine import Machine
from tests.simulation.network import Network
from tests.simulation.ownership_session import Schema
from tests.simulation.shared_state import SharedState
from tests.support.executor_records import FakeRecords as FakeExecutorRecords
from tests.support.executor_records import Tables

INSTALLATION: Final = "sim000"
SETTINGS: Final[Mapping[str, type[ServiceSettings]]] = {
    "risk_manager": RiskSettings,
    "trade_executor": ExecutorSettings,
    "position_manager": PositionSettings,
    "watchdog": WatchdogSettings,
}
SERVE: Final[Mapping[str, Callable[[Any], Awaitable[None]]]] = {
    "risk_manager": risk_manager.serve,
    "trade_executor": trade_executor.serve,
    "position_manager": position_manager.serve,
    "watchdog": watchdog.serve,
}
RECORDS_DECODED_MAX: Final = 1_000


class Bound:
    """Tables within a transaction of the owner: what is set on it is set on them."""

    def __init__(self, tables: Any, after_commit: Callable[[Callable[[], None]], None]) -> None:
        vars(self).update(vars(tables))
        self._tables = tables
        self._later = after_commit

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name not in {"_tables", "_later"}:
            setattr(self._tables, name, value)

    def after_commit(self, effect: Callable[[], None]) -> None:
        self._later(effect)


class BoundLedger(Bound, FakeLedger):
    """The position manager's tables."""


class BoundRiskRecords(Bound, FakeRiskRecords):
    """The risk manager's tables."""


class SimulatedRuntime(Runtime[Any]):
    """A process's surroundings in the simulation."""

    def __init__(self, name: str, instance: str, system: "System") -> None:
        super().__init__(name, system.settings[name], system.configuration, system.machine.clock)
        self.instance = instance
        self.system = system
        self.kafka = SimulatedKafka(system.cluster, instance)
        self.publisher = Publisher(self.kafka, clock=self.clock)

    @asynccontextmanager
    async def database(self, *, connections_max: int = 4) -> AsyncIterator[Any]:
        """Lend the tables."""
        del connections_max
        yield self.system.postgres.connect(self.name, self._session)

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[RedisStore]:
        """Lend the shared state."""
        yield self.system.shared.store()

    def owner(self, *, bind: Any, **wiring: Any) -> Owner[Any]:
        """Return the real owner, bound to tables in memory."""
        del bind
        owner: Owner[Any] = super().owner(bind=lambda transaction: self._bound(owner, transaction), **wiring)
        return owner

    def _bound(self, owner: Owner[Any], transaction: Any) -> Any:
        match self.name:
            case "trade_executor":
                return FakeExecutorRecords(transaction.tables)
            case "position_manager":
                return BoundLedger(transaction.tables, owner.after_commit)
            case _:
                return BoundRiskRecords(transaction.tables, owner.after_commit)


class System:
    """One installation: its stores and what its processes are told at their start."""

    def __init__(
        self,
        machine: Machine,
        network: Network,
        directory: Path,
        configuration: Mapping[str, Any],
        *,
        quarantine_s: float,
    ) -> None:
        chance = machine.chance
        self.machine = machine
        self.network = network
        self.cluster = Cluster(machine, chance)
        self.postgres = Postgres(machine, chance)
        self.shared = SharedState(machine, chance)
        self.openings = {key: balance.total for key, balance in network.exchange.truth.balances.items()}
        self.halt_dir = directory / "halt"
        self.settings = _settings(directory, configuration, quarantine_s)
        self.configuration = load_sourced(self.settings["risk_manager"].config_files, {}).configuration
        self.tables, self.ledger, self.risk = Tables(), FakeLedger(), FakeRiskRecords()
        self.postgres.schemas = {
            "trade_executor": Schema(self.tables),
            "position_manager": Schema(self.ledger),
            "risk_manager": Schema(self.risk),
        }

    def start(self, service: str) -> None:
        """Start a service, or another process of it."""

        async def run(instance: str) -> None:
            runtime = SimulatedRuntime(service, instance, self)
            self.network.healthy[f"{service}.sim"] = lambda: runtime.health
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(runtime.publisher.run(), name="publisher")
                tasks.create_task(every(HEARTBEAT_INTERVAL_S, runtime.beat, clock=runtime.clock), name="heartbeats")
                await SERVE[service](runtime)

        self.machine.start(service, run)


def _settings(directory: Path, configuration: Mapping[str, Any], quarantine_s: float) -> dict[str, ServiceSettings]:
    for name in ("postgres-risk_manager", "postgres-trade_executor", "postgres-position_manager", "redis"):
        (directory / name).write_text("secret")
    (directory / "keys.json").write_text(
        json.dumps({KEY.account: {"api_key": KEY.api_key, "api_secret": KEY.api_secret}})
    )
    (directory / "configuration.json").write_text(json.dumps(configuration))
    (directory / "halt").mkdir()
    OPERATORS.save(directory / "operators.json")
    common: dict[str, Any] = {
        "secrets_dir": directory,
        "config_files": (directory / "configuration.json",),
        "installation": INSTALLATION,
        "exchange_rest_url": "http://exchange.sim",
        "exchange_ws_url": "ws://exchange.sim",
        "exchange_keys_file": directory / "keys.json",
        "halt_dir": directory / "halt",
        "operators_file": directory / "operators.json",
        "start_active": True,
    }
    targets = {name: f"http://{name}.sim/healthz" for name in ("trade_executor", "risk_manager")}
    own: dict[str, Any] = {"watchdog": {"targets": targets}, "trade_executor": {"quarantine_s": quarantine_s}}
    return {name: kind(**common, **own.get(name, {})) for name, kind in SETTINGS.items()}


@contextmanager
def simulated_surroundings(system: System) -> Iterator[None]:
    """Put the stand-ins in the places of what the services reach by themselves."""
    network = system.network

    def binance(options: Mapping[str, Any], *, now_ms: Callable[[], int]) -> SimulatedBinance:
        return SimulatedBinance(network, options, now_ms)

    async def connect(dsn: str, *, server_settings: Mapping[str, str], **_: Any) -> Any:
        return system.postgres.lock_connection(dsn, server_settings["application_name"])

    async def no_symbols(_: Any) -> Sequence[str]:
        return ()

    async def no_times(_: Any) -> tuple[None, None]:
        return None, None  # a story is shorter than what is read again in any case

    def randomness() -> Random:
        return Random(system.machine.chance.random())

    places: Mapping[str, Any] = {
        "libs.exchange.orders.calling._Binance": binance,
        "libs.exchange.orders.calling.require_address": lambda *_: None,
        "aiohttp.ClientSession": network.session,
        "aiohttp.TCPConnector": lambda **_: None,
        "libs.common.messaging.ownership.asyncpg.connect": connect,
        "libs.common.runtime.surroundings.metrics.MESSAGES_HANDLED.collect": tuple,  # nobody in a story looks at it
        "libs.common.messaging.records.decode": lru_cache(RECORDS_DECODED_MAX)(decode),  # once for all who read it
        "services.position_manager.__main__.open_symbols": no_symbols,
        "services.position_manager.__main__.trailing_times": no_times,
        "services.trade_executor.__main__.SystemRandom": randomness,
    }
    logging = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(CRITICAL), cache_logger_on_first_use=False, processors=[]
    )
    try:
        with ExitStack() as stack:
            for place, stand_in in places.items():
                stack.enter_context(patch(place, stand_in))
            yield
    finally:
        structlog.configure(**logging)


__all__ = ["ALICE", "INSTALLATION", "System", "simulated_surroundings"]
