"""The wiring's own decisions: a mark that fails for now is left out, and a start waits for the world."""

import asyncio
from types import SimpleNamespace
from typing import Any

from libs.common.errors import RetryableError
from services.position_manager.__main__ import MARK_INTERVAL_S, RETRY_S, _answered, _mark, _read_rules
from tests.support.virtual_time import VirtualClock, run_in_virtual_time


class FailingMarker:
    """Fails for now the first time."""

    def __init__(self) -> None:
        self.days = 0

    async def prepare_day(self, _: Any) -> None:
        self.days += 1
        if self.days == 1:
            raise RetryableError("the exchange is away")

    async def mark(self, _: Any) -> None:
        """Nothing to mark."""


def test_a_mark_that_fails_for_now_is_tried_again_a_second_later():
    marker, applied = FailingMarker(), []

    async def apply(work: Any) -> None:
        applied.append(work)

    async def marking() -> None:
        rules = asyncio.Event()
        rules.set()
        health = SimpleNamespace(progress=lambda *_: SimpleNamespace(made=lambda: None))
        runtime: Any = SimpleNamespace(health=health, clock=VirtualClock())
        owner: Any = SimpleNamespace(is_owner=True, lag={"fills": 0}, apply=apply)
        running = asyncio.create_task(_mark(runtime, owner, marker, rules=rules))  # type: ignore[arg-type]
        await asyncio.sleep(2.5 * MARK_INTERVAL_S)
        running.cancel()
        await asyncio.wait({running})

    run_in_virtual_time(marking())

    assert marker.days == 3
    assert applied == [marker.mark, marker.mark]


def test_a_start_waits_for_the_exchange():
    asked_at_s: list[float] = []

    async def ask() -> str:
        asked_at_s.append(asyncio.get_running_loop().time())
        if len(asked_at_s) == 1:
            raise RetryableError("away")
        return "rules"

    assert run_in_virtual_time(_answered(ask)) == "rules"
    assert asked_at_s == [0, RETRY_S]


async def test_rules_that_cannot_be_read_stay_as_they_were():
    async def away(_: Any) -> Any:
        raise RetryableError("away")

    known: Any = {"BTC/USDT": "rules"}
    exchange: Any = SimpleNamespace(instruments=away)

    await _read_rules(exchange, ["BTC/USDT"], known)

    assert known == {"BTC/USDT": "rules"}
