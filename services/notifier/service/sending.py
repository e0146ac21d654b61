"""Deliver what was committed until it arrives or is given up; each channel by itself, so that none delays another.

Whoever delivers has marked it first: nobody else does so meanwhile, and after a crash it is delivered again.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline
from libs.common.observability import metrics
from services.notifier.domain.routing import BUILT_IN
from services.notifier.domain.texts import Line, summarise
from services.notifier.service.ports import Channel, Delivery, Notification, Outbox

DELIVERY_S_MAX: Final = 15.0
"""Of one attempt: a mail server may take its time to greet."""
ATTEMPTS_MAX: Final = 8
RETRY_S_MAX: Final = 60.0
IDLE_S: Final = 1.0
TAKEN_AT_ONCE_MAX: Final = 50
"""Of a channel that is no message to a person, one write at the end for all."""
MINUTE: Final = timedelta(minutes=1)
WATCHDOG: Final = "watchdog"
"""It reads in our metrics whether its alerts reached somebody outside, and tells them itself otherwise."""

_log: Final = structlog.get_logger(__name__)


class Pace:
    """How many messages a channel had lately."""

    def __init__(self) -> None:
        self._sent_at: deque[datetime] = deque()

    def note(self, now: datetime) -> None:
        """Count a message."""
        self._sent_at.append(now)

    def free_at(self, now: datetime, *, per_minute_max: int) -> datetime | None:
        """Return when there is room for another one; None: now."""
        while self._sent_at and self._sent_at[0] <= now - MINUTE:
            self._sent_at.popleft()
        full = len(self._sent_at) >= per_minute_max
        return self._sent_at[-per_minute_max] + MINUTE if full else None


class ChannelSender:
    """Delivers one channel's notifications: again with growing pauses, at most `ATTEMPTS_MAX` times."""

    def __init__(self, name: str, channel: Channel, *, outbox: Outbox, live: LiveConfiguration, clock: Clock) -> None:
        self._name = name
        self._channel = channel
        self._outbox = outbox
        self._live = live
        self._clock = clock
        self._pace = Pace()
        self._is_outside = name not in BUILT_IN
        self.wanted = asyncio.Event()

    async def run(self) -> None:
        """Deliver, for ever."""
        while True:
            self.wanted.clear()
            try:
                while await self.deliver_due():
                    pass
            except RetryableError as error:
                _log.warning("Notifications wait", channel=self._name, error=str(error))
            try:
                async with asyncio.timeout(IDLE_S):
                    await self.wanted.wait()
            except TimeoutError:
                continue

    async def deliver_due(self) -> int:
        """Deliver what is due, one message at most where it goes to a person; return how many notifications it held.

        Raises:
            RetryableError: The database is away; deliveries may then be repeated.
        """
        now = self._clock.now()
        if not self._is_outside:
            due = await self._outbox.take(self._name, now, at_once_max=TAKEN_AT_ONCE_MAX)
            for notification in due:
                await self._settle([notification], await self._attempt(notification))
            return len(due)
        free_at = self._pace.free_at(now, per_minute_max=self._live.current.notifications.messages_per_minute_max)
        if free_at is not None:
            await self._outbox.hold(self._name, now, until=free_at)
        # What waited goes before what is new: under a flood there is never room for both.
        due = (
            await self._outbox.take_urgent(self._name, now)
            or await self._outbox.take_held(self._name, now)
            or await self._outbox.take(self._name, now, at_once_max=1)
        )
        if due:
            self._pace.note(now)
            await self._settle(due, await self._attempt(self._message(due)))
        return len(due)

    def _message(self, notifications: Sequence[Notification]) -> Notification:
        """Return the one message that tells them."""
        first = notifications[0]
        if len(notifications) == 1:
            return first
        display = self._live.current.display
        lines = [
            Line(event_id=each.event_id, occurred_at=each.occurred_at, alert_type=each.alert_type, title=each.title)
            for each in notifications
        ]
        text = summarise(lines, display.language, timezone=display.timezone)
        return replace(first, title=text.title, body=text.body)

    async def _attempt(self, message: Notification) -> Delivery:
        try:
            return await deadline(self._channel.deliver(message), DELIVERY_S_MAX, f"delivery to {self._name}")
        except RetryableError as error:
            return Delivery(delivered=False, reason=str(error))

    async def _settle(self, notifications: Sequence[Notification], delivery: Delivery) -> None:
        now = self._clock.now()
        if delivery.delivered:
            await self._outbox.mark_sent(notifications, now)
            self._told(notifications, now)
            return
        exhausted = [each for each in notifications if each.attempts >= ATTEMPTS_MAX]
        others = [each for each in notifications if each.attempts < ATTEMPTS_MAX]
        if exhausted:
            await give_up(exhausted, delivery.reason, outbox=self._outbox, live=self._live, now=now)
        if others:
            again_at = now + _pause(max(each.attempts for each in others))
            await self._outbox.mark_failed(others, delivery.reason, again_at)

    def _told(self, notifications: Sequence[Notification], now: datetime) -> None:
        metrics.NOTIFICATIONS.labels(channel=self._name, state="SENT").inc(len(notifications))
        for notification in notifications:
            if not notification.was_held:
                took_s = (now - notification.recorded_at).total_seconds()
                metrics.NOTIFICATION_SECONDS.labels(channel=self._name).observe(max(0.0, took_s))
            if notification.component == WATCHDOG and self._is_outside:
                metrics.WATCHDOG_ALERT_TOLD.set(notification.occurred_at.timestamp())


class Sender:
    """Delivers to every channel at once."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        live: LiveConfiguration,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._live = live
        self._clock = clock
        self._senders = [
            ChannelSender(name, channel, outbox=outbox, live=live, clock=clock) for name, channel in channels.items()
        ]
        self._names = tuple(channels)

    def wake(self) -> None:
        """Say that there is something to deliver."""
        for sender in self._senders:
            sender.wanted.set()

    async def run(self) -> None:
        """Deliver, for ever; first what a crash has left."""
        while True:
            try:
                await self._outbox.release(self._clock.now())
            except RetryableError as error:
                _log.warning("Notifications wait", error=str(error))
                await asyncio.sleep(IDLE_S)
            else:
                break
        async with asyncio.TaskGroup() as tasks:
            for sender in self._senders:
                tasks.create_task(sender.run())

    async def deliver_due(self) -> int:
        """Deliver once to every channel what is due; return how many notifications that were."""
        return sum(await asyncio.gather(*(sender.deliver_due() for sender in self._senders)))

    async def give_up_orphaned(self) -> None:
        """Give up what is for channels that are gone from the secret file, and escalate it.

        Raises:
            RetryableError: The database is away.
        """
        now = self._clock.now()
        for orphaned in await self._outbox.take_orphaned(self._names, now):
            reason = "the channel is not available"
            await give_up([orphaned], reason, outbox=self._outbox, live=self._live, now=now)


async def give_up(
    notifications: Sequence[Notification], reason: str, *, outbox: Outbox, live: LiveConfiguration, now: datetime
) -> None:
    """Tell nobody any more over this channel, but over the next one of the escalation."""
    for notification in notifications:
        _log.error(
            "A notification was given up",
            channel=notification.channel,
            title=notification.title,
            attempts=notification.attempts,
            reason=reason,
        )
        metrics.NOTIFICATIONS.labels(channel=notification.channel, state="FAILED").inc()
    await outbox.give_up(notifications, reason, now, escalation=live.current.notifications.escalation)


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=min(2.0 ** (attempts - 1), RETRY_S_MAX))
