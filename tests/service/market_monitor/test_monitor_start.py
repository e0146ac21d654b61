"""When the markets are watched after a start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from libs.common.configuration import TradingConfiguration
from libs.common.observability.health import Check, Health
from services.market_monitor.__main__ import serve
from services.market_monitor.settings import Settings
from tests.support.clock import FakeClock
from tests.support.eventually import eventually


class Versions:
    """A reader of stored versions that has not caught up yet."""

    def __init__(self) -> None:
        self.caught_up = asyncio.Event()
        self.is_running = False

    async def run(self) -> None:
        self.is_running = True
        await asyncio.Event().wait()


class Checks(Health):
    """Health whose checks are known by name."""

    def __init__(self) -> None:
        super().__init__(name="market_monitor", clock=FakeClock())
        self.names: list[str] = []

    def check(self, name: str, check: Check) -> None:
        super().check(name, check)
        self.names.append(name)


class Nobody:
    """A publisher that nobody listens to."""

    def publish(self, *events: Any) -> None:
        """Let them go."""


class Surroundings:
    """What watching needs of a process; nothing answers at its addresses."""

    def __init__(self) -> None:
        address = "127.0.0.1:1"
        self.settings = Settings(exchange_rest_url=f"http://{address}", exchange_ws_url=f"ws://{address}")
        self.configuration, self.clock = TradingConfiguration(), FakeClock()
        self.health, self.publisher, self.versions = Checks(), Nobody(), Versions()

    def reader(self, **_: Any) -> Versions:
        return self.versions

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[None]:
        yield None

    async def reads(self) -> bool:
        return self.versions.is_running

    async def watches(self) -> bool:
        return "market" in self.health.names


async def test_nothing_is_watched_before_the_thresholds_in_force_are_known() -> None:
    surroundings: Any = Surroundings()
    serving = asyncio.create_task(serve(surroundings))
    await eventually(surroundings.reads)
    assert not surroundings.health.names

    surroundings.versions.caught_up.set()

    await eventually(surroundings.watches)
    serving.cancel()
    await asyncio.wait({serving})
