"""A notifier with its sender and reminders on a migrated database, whose clock only a test moves."""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from libs.common.configuration import LiveConfiguration, parse_configuration
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.messaging.cause import Cause, enclose
from libs.common.storage.postgres import Database
from services.notifier.adapters.alerts import PostgresAlerts
from services.notifier.adapters.built_in import DashboardChannel, LogChannel
from services.notifier.adapters.outbox import PostgresOutbox
from services.notifier.service.acknowledging import Reminders
from services.notifier.service.inventory import Inventory
from services.notifier.service.notifying import Notifier
from services.notifier.service.ports import Channel, Delivery, Notification
from services.notifier.service.sending import Sender
from tests.support.clock import FakeClock


@dataclass
class FakeChannel:
    """Remembers what it was given; fails as often as it is told to."""

    failures: list[Exception | Delivery] = field(default_factory=list)
    delivered: list[Notification] = field(default_factory=list)

    async def deliver(self, notification: Notification) -> Delivery:
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        self.delivered.append(notification)
        return Delivery(delivered=True)

    @property
    def titles(self) -> list[str]:
        return [notification.title for notification in self.delivered]


@dataclass
class Desk:
    """A notifier with all its loops, turned by hand."""

    database: Database
    clock: FakeClock
    live: LiveConfiguration
    channels: dict[str, Channel]
    alerts: PostgresAlerts
    outbox: PostgresOutbox
    notifier: Notifier
    sender: Sender
    reminders: Reminders
    inventory: Inventory

    async def raise_alert(self, alert_type: AlertType = AlertType.SYSTEM_ERROR, **changes: Any) -> Envelope[Any]:
        alert = AlertRaised(
            **{
                "occurred_at": self.clock.now(),
                "alert_type": alert_type,
                "severity": Severity.WARNING,
                "component": "market_monitor",
                "subject": "BTC/USDT",
                "symbol": "BTC/USDT",
                "message": "the book is crossed",
                **changes,
            }
        )
        envelope: Envelope[Any] = enclose(alert, cause=Cause.none(), ordinal=0, now=self.clock.now())
        await self.notifier.on_alert(envelope)
        return envelope

    async def rows(self) -> list[tuple[str, str, str]]:
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT channel, state, reason FROM notifications ORDER BY created_at, channel"
            )
        return [(row["channel"], row["state"], row["reason"]) for row in rows]

    async def states_of(self, event_id: uuid.UUID) -> dict[str, str]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT channel, state FROM notifications WHERE event_id = $1", event_id)
        return {row["channel"]: row["state"] for row in rows}

    async def deliver(self) -> None:
        """Deliver until nothing is due."""
        while await self.sender.deliver_due():
            pass

    def configure(self, **notifications: Any) -> None:
        self.live.accept(self.live.version + 1, configured(notifications))


def configured(notifications: dict[str, Any], *, timezone: str = "UTC", language: str = "ko") -> Any:
    content = {"notifications": notifications, "display": {"language": language, "timezone": timezone}}
    return parse_configuration(content, where="test")


def a_desk(
    database: Database,
    *,
    channels: dict[str, Channel] | None = None,
    timezone: str = "UTC",
    language: str = "ko",
    notifications: dict[str, Any] | None = None,
) -> Desk:
    clock = FakeClock()
    built_in: dict[str, Channel] = {"dashboard": DashboardChannel(), "log": LogChannel()}
    by_name = built_in if channels is None else channels
    live = LiveConfiguration(configured(notifications or {}, timezone=timezone, language=language))
    alerts, outbox = PostgresAlerts(database), PostgresOutbox(database)
    sender = Sender(outbox=outbox, channels=by_name, live=live, clock=clock)
    notifier = Notifier(
        alerts=alerts,
        live=live,
        channels=by_name,
        repeat_after=timedelta(seconds=60),
        clock=clock,
        wake=sender.wake,
    )
    reminders = Reminders(unacknowledged=alerts, live=live, channels=tuple(by_name), clock=clock, wake=sender.wake)
    inventory = Inventory(outbox=outbox, live=live, available=by_name, problems={}, clock=clock)
    return Desk(database, clock, live, by_name, alerts, outbox, notifier, sender, reminders, inventory)
