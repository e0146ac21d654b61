"""The sender looks for what is due by itself, and goes on after a database that was away."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from libs.common.errors import RetryableError
from services.notifier.__main__ import _forget
from services.notifier.service import IDLE_S, Outbox, Sender
from tests.support.virtual_time import VirtualClock, run_in_virtual_time


class EmptyOutbox:
    """Nothing is due; the first question fails."""

    def __init__(self) -> None:
        self.asked = 0

    async def prune(self) -> None:
        self.asked += 1
        raise RetryableError("away")

    async def take(self, _: Any) -> Sequence[Any]:
        self.asked += 1
        if self.asked == 1:
            raise RetryableError("away")
        return []


def test_what_is_due_is_looked_for_although_nobody_asks_and_the_database_was_away():
    outbox = EmptyOutbox()

    async def sending() -> None:
        sender = Sender(outbox=cast("Outbox", outbox), channels={}, clock=VirtualClock(), wanted=asyncio.Event())
        running = asyncio.create_task(sender.run())
        await asyncio.sleep(2.5 * IDLE_S)
        running.cancel()
        await asyncio.wait({running})

    run_in_virtual_time(sending())

    assert outbox.asked == 3


async def test_notifications_that_cannot_be_pruned_now_are_pruned_the_next_time():
    outbox: Any = EmptyOutbox()

    await _forget(outbox)

    assert outbox.asked == 1
