"""When the first mark is made after a start."""

import asyncio
from typing import Any

import pytest

from libs.common.observability.health import Health
from services.position_manager import __main__ as wiring
from tests.support.clock import FakeClock
from tests.support.eventually import eventually


class CaughtUpOwner:
    """An owner that has booked everything; it remembers what it was given to do."""

    def __init__(self) -> None:
        self.is_owner, self.lag = True, {"fills": 0}
        self.applied: list[Any] = []

    async def apply(self, work: Any) -> None:
        self.applied.append(work)

    async def has_applied(self) -> bool:
        return bool(self.applied)


class Marker:
    """A marker that does nothing."""

    async def prepare_day(self, apply: Any) -> None:
        """There is no day to prepare."""

    async def mark(self, ledger: Any) -> None:
        """There is nothing to mark."""


class Surroundings:
    """What marking needs of a process."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.health = Health(name="position_manager", clock=self.clock)


async def test_nothing_is_marked_or_closed_before_the_rules_in_force_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wiring, "MARK_INTERVAL_S", 0.001)
    surroundings: Any = Surroundings()
    owner: Any = CaughtUpOwner()
    marker: Any = Marker()
    rules = asyncio.Event()
    marking = asyncio.create_task(wiring._mark(surroundings, owner, marker, rules=rules))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not owner.applied

    rules.set()

    await eventually(owner.has_applied)
    marking.cancel()
