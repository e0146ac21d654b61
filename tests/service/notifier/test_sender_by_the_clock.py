"""The sender looks for what is due by itself, and goes on after a database that was away."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from libs.common.configuration import LiveConfiguration, load_configuration
from libs.common.errors import RetryableError
from services.notifier.__main__ import _unless_away
from services.notifier.service.inventory import Inventory
from services.notifier.service.ports import Outbox
from services.notifier.service.sending import IDLE_S, Pace, Sender
from tests.support.clock import FakeClock
from tests.support.notifier_desk import FakeChannel
from tests.support.virtual_time import VirtualClock, run_in_virtual_time


class EmptyOutbox:
    """Nothing is due; the first question of each kind fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.released = 0

    async def prune(self) -> None:
        self.asked += 1
        raise RetryableError("away")

    async def release(self, _: Any) -> None:
        self.released += 1
        if self.released == 1:
            raise RetryableError("away")

    async def take(self, *_: Any, at_once_max: int) -> Sequence[Any]:
        self.asked += at_once_max
        if self.asked == 1:
            raise RetryableError("away")
        return []

    async def take_urgent(self, *_: Any) -> Sequence[Any]:
        return []

    async def take_held(self, *_: Any) -> Sequence[Any]:
        return []

    async def note_channels(self, *_: Any, **__: Any) -> None:
        self.asked += 1
        raise RetryableError("away")


def test_what_is_due_is_looked_for_although_nobody_asks_and_the_database_was_away():
    outbox = EmptyOutbox()

    async def sending() -> None:
        sender = Sender(
            outbox=cast("Outbox", outbox),
            channels={"email": FakeChannel()},
            live=LiveConfiguration(load_configuration([])),
            clock=VirtualClock(),
        )
        running = asyncio.create_task(sender.run())
        await asyncio.sleep(3.5 * IDLE_S)
        running.cancel()
        await asyncio.wait({running})

    run_in_virtual_time(sending())

    assert (outbox.released, outbox.asked) == (2, 3)


async def test_periodic_work_that_fails_now_is_done_the_next_time():
    outbox = EmptyOutbox()

    await _unless_away(outbox.prune)

    assert outbox.asked == 1


async def test_channels_that_cannot_be_written_down_do_not_stop_anything():
    outbox = EmptyOutbox()
    live = LiveConfiguration(load_configuration([]))

    await Inventory(
        outbox=cast("Outbox", outbox), live=live, available=("log",), problems={"email": "broken"}, clock=FakeClock()
    ).note()

    assert outbox.asked == 1


def test_a_channel_has_room_again_a_minute_after_the_oldest_of_its_messages():
    clock, pace = FakeClock(), Pace()
    for _ in range(3):
        pace.note(clock.now())
        clock.advance(10)

    assert pace.free_at(clock.now(), per_minute_max=4) is None
    assert pace.free_at(clock.now(), per_minute_max=3) == clock.now() + timedelta(seconds=30)
    assert pace.free_at(clock.now(), per_minute_max=2) == clock.now() + timedelta(seconds=40)
    clock.advance(30)
    assert pace.free_at(clock.now(), per_minute_max=3) is None
