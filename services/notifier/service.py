"""Notifier: turn each alert into notifications once, and deliver what was committed until it arrives or is given up.

Handling an alert only writes rows; the sender works them off. A crash between the two delivers late, never not at all.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from libs.common.clock import Clock
from libs.common.configuration import NotificationsSection
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline
from libs.common.observability import metrics
from services.notifier.domain.routing import BUILT_IN, Repetition, Routing, route
from services.notifier.domain.texts import Language, Text, compose

DELIVERY_S_MAX: Final = 5.0
ATTEMPTS_MAX: Final = 8
RETRY_S_MAX: Final = 60.0
IDLE_S: Final = 1.0
WATCHDOG: Final = "watchdog"
"""It reads in our metrics whether its alerts reached somebody outside, and tells them itself otherwise."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message on its way to one channel."""

    event_id: uuid.UUID
    channel: str
    alert_type: str
    severity: str
    component: str
    title: str
    body: str
    occurred_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of an attempt; `reason` says why it failed."""

    delivered: bool
    reason: str = ""


class Channel(Protocol):
    """A way to people."""

    async def deliver(self, notification: Notification) -> Delivery:
        """Try once; delivering the same event again must do no harm.

        Raises:
            RetryableError: The channel is away.
        """
        ...


class AlertTransaction(Protocol):
    """What handling one alert reads and writes."""

    async def add(self, envelope: Envelope[AlertRaised]) -> bool:
        """Record the alert; False: it was recorded before."""
        ...

    async def last_of_kind(self, alert: AlertRaised) -> Repetition | None:
        """Return when an alert of the same kind was last told; until the end nobody else can."""
        ...

    async def save(
        self, envelope: Envelope[AlertRaised], routing: Routing, text: Text, language: Language, attempt_at: datetime
    ) -> None:
        """Write the notifications and what to remember of the repetition."""
        ...


class Outbox(Protocol):
    """The notifications that wait for delivery."""

    async def take(self, now: datetime) -> Sequence[Notification]:
        """Return due notifications, marked as attempted, so that nobody else takes them meanwhile."""
        ...

    async def mark_sent(self, notification: Notification, at: datetime) -> None:
        """Note that it arrived."""
        ...

    async def mark_failed(self, notification: Notification, reason: str, again_at: datetime | None) -> None:
        """Note that it did not, and when to try again; None: never."""
        ...


class AlertStore(Protocol):
    """Where alerts are handled, one transaction each."""

    async def handle(self, work: "AlertWork") -> None:
        """Run `work` in a transaction.

        Raises:
            RetryableError: The database is away.
        """
        ...


class AlertWork(Protocol):
    """The work of one transaction."""

    async def __call__(self, transaction: AlertTransaction) -> None:
        """Read and write."""
        ...


class Notifier:
    """Decides for each alert where it goes and in which words."""

    def __init__(
        self,
        *,
        alerts: AlertStore,
        settings: NotificationsSection,
        language: Language,
        channels: Mapping[str, Channel],
        repeat_after: timedelta,
        clock: Clock,
        sender_wanted: asyncio.Event,
    ) -> None:
        self._alerts = alerts
        self._settings = settings
        self._language = language
        self._channels = channels
        self._repeat_after = repeat_after
        self._clock = clock
        self._sender_wanted = sender_wanted

    def configure(self, settings: NotificationsSection, language: Language) -> None:
        """Work with new values from the next alert on."""
        self._settings, self._language = settings, language

    def unavailable(self) -> tuple[str, ...]:
        """Return the configured channels that cannot deliver: they stay silent, trading goes on."""
        return tuple(channel for channel in self._settings.channels if channel not in self._channels)

    async def on_alert(self, envelope: Envelope[AlertRaised]) -> Sequence[Event]:
        """Write down an alert and its notifications, once."""
        alert = envelope.event

        async def work(transaction: AlertTransaction) -> None:
            if not await transaction.add(envelope):
                return
            routing = route(
                alert,
                settings=self._settings,
                available=self._channels.keys(),
                last=await transaction.last_of_kind(alert),
                repeat_after=self._repeat_after,
            )
            text = compose(alert, self._language, repeats_suppressed=routing.repeats_suppressed)
            await transaction.save(envelope, routing, text, self._language, self._clock.now())
            for planned in routing.routes:
                if planned.suppression is not None:
                    metrics.NOTIFICATIONS.labels(channel=planned.channel, state="SUPPRESSED").inc()

        await self._alerts.handle(work)
        self._sender_wanted.set()
        return ()


class Sender:
    """Delivers committed notifications: again with growing pauses, at most `ATTEMPTS_MAX` times."""

    def __init__(self, *, outbox: Outbox, channels: Mapping[str, Channel], clock: Clock, wanted: asyncio.Event) -> None:
        self._outbox = outbox
        self._channels = channels
        self._clock = clock
        self._wanted = wanted

    async def run(self) -> None:
        """Deliver, for ever."""
        while True:
            self._wanted.clear()
            try:
                while await self.deliver_due():
                    pass
            except RetryableError as error:
                _log.warning("Notifications wait", error=str(error))
            try:
                async with asyncio.timeout(IDLE_S):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def deliver_due(self) -> int:
        """Deliver one batch of what is due; return how many were tried.

        Raises:
            RetryableError: The database is away; deliveries may then be repeated.
        """
        due = await self._outbox.take(self._clock.now())
        for notification in due:
            delivery = await self._attempt(notification)
            now = self._clock.now()
            if delivery.delivered:
                await self._outbox.mark_sent(notification, now)
                metrics.NOTIFICATIONS.labels(channel=notification.channel, state="SENT").inc()
                if notification.component == WATCHDOG and notification.channel not in BUILT_IN:
                    metrics.WATCHDOG_ALERT_TOLD.set(notification.occurred_at.timestamp())
            elif notification.attempts < ATTEMPTS_MAX:
                await self._outbox.mark_failed(notification, delivery.reason, now + _pause(notification.attempts))
            else:
                _log.error(
                    "A notification was given up",
                    channel=notification.channel,
                    title=notification.title,
                    attempts=notification.attempts,
                    reason=delivery.reason,
                )
                await self._outbox.mark_failed(notification, delivery.reason, None)
                metrics.NOTIFICATIONS.labels(channel=notification.channel, state="FAILED").inc()
        return len(due)

    async def _attempt(self, notification: Notification) -> Delivery:
        channel = self._channels.get(notification.channel)
        if channel is None:  # queued before the channel was taken out of the configuration
            return Delivery(delivered=False, reason="the channel is not available")
        try:
            return await deadline(channel.deliver(notification), DELIVERY_S_MAX, f"delivery to {notification.channel}")
        except RetryableError as error:
            return Delivery(delivered=False, reason=str(error))


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=min(2.0 ** (attempts - 1), RETRY_S_MAX))
