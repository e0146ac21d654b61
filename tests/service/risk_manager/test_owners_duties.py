"""The wiring's own decisions: what happens when a duty or a halt outside of the owner's turn fails for now."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from libs.common.errors import RetryableError
from services.risk_manager.__main__ import RETRY_S, RiskManager
from tests.service.risk_manager.builders import a_command, enveloped
from tests.support.virtual_time import VirtualClock, run_in_virtual_time


class FailingHalts:
    """Remembers who asked, and fails for now."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def on_command(self, envelope: Any) -> None:
        self.asked.append(envelope)
        raise RetryableError("the database is away")


@pytest.fixture
def manager() -> RiskManager:
    """Of the wiring only what these decisions need: the rest asks for stores."""
    manager: Any = object.__new__(RiskManager)
    manager._owner = SimpleNamespace(is_owner=True)
    manager._runtime = SimpleNamespace(clock=VirtualClock())
    manager.halts = FailingHalts()
    return manager  # type: ignore[no-any-return]


async def test_a_halt_that_cannot_be_carried_out_at_once_waits_for_the_owners_turn(manager: RiskManager):
    halt = enveloped(a_command("HALT"))

    await manager.on_control(halt)

    assert manager.halts.asked == [halt]  # type: ignore[attr-defined]


def test_a_duty_that_fails_for_now_is_tried_again(manager: RiskManager):
    done_at_s: list[float] = []

    async def duty() -> None:
        done_at_s.append(asyncio.get_running_loop().time())
        if len(done_at_s) == 1:
            raise RetryableError("away")

    async def keep() -> None:
        progress: Any = SimpleNamespace(made=lambda: None)
        keeping = asyncio.create_task(manager.keep_doing(0.1, duty, progress))
        await asyncio.sleep(1)
        keeping.cancel()
        await asyncio.wait({keeping})

    run_in_virtual_time(keep())

    assert done_at_s[1] - done_at_s[0] >= RETRY_S
    assert len(done_at_s) > 2
