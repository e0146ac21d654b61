"""The notifier's tables, and the two channels that need nothing from outside: the dashboard's table and the log."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import Severity
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Transaction
from services.notifier.domain.routing import Repetition, Routing
from services.notifier.domain.texts import Language, Text
from services.notifier.service import AlertWork, Delivery, Notification

TAKEN_AT_ONCE_MAX: Final = 50
TAKEN_FOR: Final = timedelta(seconds=300)
"""Who takes notifications and crashes leaves them to others after this time: longer than 50 missed deadlines."""
ALERTS_KEPT: Final = "400 days"
REPETITIONS_KEPT: Final = "2 days"

_log = structlog.get_logger("notifications")

_ADD_ALERT: Final = """
    INSERT INTO alerts (event_id, alert_type, severity, component, subject, account, symbol, message, parameters,
                        occurred_at, recorded_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (event_id) DO NOTHING RETURNING TRUE
"""
_LAST_OF_KIND: Final = """
    SELECT told_at, suppressed FROM repetitions
    WHERE alert_type = $1 AND severity = $2 AND component = $3 AND subject = $4 FOR UPDATE
"""
_REMEMBER: Final = """
    INSERT INTO repetitions (alert_type, severity, component, subject, told_at, suppressed)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (alert_type, severity, component, subject)
    DO UPDATE SET told_at = excluded.told_at, suppressed = excluded.suppressed
"""
_ADD_NOTIFICATION: Final = """
    INSERT INTO notifications (event_id, channel, state, reason, title, body, language, repeats_suppressed, attempt_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_TAKE: Final = """
    UPDATE notifications AS taken SET attempts = attempts + 1, attempt_at = $1 + $2::interval
    FROM alerts
    WHERE alerts.event_id = taken.event_id AND (taken.event_id, taken.channel) IN (
        SELECT event_id, channel FROM notifications WHERE state = 'QUEUED' AND attempt_at <= $1
        ORDER BY attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    RETURNING taken.event_id, channel, alert_type, severity, component, title, body, occurred_at, attempts
"""
_MARK_SENT: Final = """
    UPDATE notifications SET state = 'SENT', sent_at = $3, reason = '' WHERE event_id = $1 AND channel = $2
"""
_MARK_FAILED: Final = """
    UPDATE notifications
    SET reason = $3, attempt_at = coalesce($4, attempt_at), state = CASE WHEN $4 IS NULL THEN 'FAILED' ELSE state END
    WHERE event_id = $1 AND channel = $2
"""


class PostgresAlertTransaction:
    """One alert's reads and writes."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, envelope: Envelope[AlertRaised]) -> bool:
        """Record the alert; False: it was recorded before."""
        alert = envelope.event
        added = await self._transaction.returning(
            _ADD_ALERT,
            envelope.event_id,
            alert.alert_type,
            alert.severity,
            alert.component,
            _storable(alert.subject),
            alert.account,
            alert.symbol,
            _storable(alert.message),
            {_storable(name): _storable(value) for name, value in alert.parameters.items()},
            alert.occurred_at,
            envelope.recorded_at,
        )
        return added is not None

    async def last_of_kind(self, alert: AlertRaised) -> Repetition | None:
        """Return when an alert of the same kind was last told; its row stays locked until the end."""
        row = await self._transaction.returning(_LAST_OF_KIND, *_kind(alert))
        return None if row is None else Repetition(row["told_at"], row["suppressed"])

    async def save(
        self, envelope: Envelope[AlertRaised], routing: Routing, text: Text, language: Language, attempt_at: datetime
    ) -> None:
        """Write the notifications and what to remember of the repetition."""
        if routing.repetition is not None:
            await self._transaction.execute(
                _REMEMBER, *_kind(envelope.event), routing.repetition.told_at, routing.repetition.suppressed
            )
        await self._transaction.executemany(
            _ADD_NOTIFICATION,
            [
                (
                    envelope.event_id,
                    planned.channel,
                    "SUPPRESSED" if planned.suppression else "QUEUED",
                    planned.suppression or "",
                    _storable(text.title),
                    _storable(text.body),
                    language,
                    routing.repeats_suppressed,
                    attempt_at,
                )
                for planned in routing.routes
            ],
        )


class PostgresAlerts:
    """Handles alerts, one transaction each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handle(self, work: AlertWork) -> None:
        """Run `work` in a transaction."""
        async with self._database.transaction() as transaction:
            await work(PostgresAlertTransaction(transaction))


class PostgresOutbox:
    """The notifications that wait for delivery."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, now: datetime) -> Sequence[Notification]:
        """Return due notifications, marked as attempted, so that nobody else takes them meanwhile."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_TAKE, now, TAKEN_FOR, TAKEN_AT_ONCE_MAX)
        return [Notification(**row) for row in sorted(rows, key=lambda row: row["occurred_at"])]

    async def mark_sent(self, notification: Notification, at: datetime) -> None:
        """Note that it arrived."""
        async with self._database.connection() as connection:
            await connection.execute(_MARK_SENT, notification.event_id, notification.channel, at)

    async def mark_failed(self, notification: Notification, reason: str, again_at: datetime | None) -> None:
        """Note that it did not, and when to try again; None: never."""
        async with self._database.connection() as connection:
            await connection.execute(
                _MARK_FAILED, notification.event_id, notification.channel, _storable(reason[:500]), again_at
            )

    async def prune(self) -> None:
        """Forget alerts and repetitions that are past their time."""
        async with self._database.connection() as connection:
            await connection.execute(f"DELETE FROM repetitions WHERE told_at < now() - interval '{REPETITIONS_KEPT}'")  # noqa: S608 - a constant
            await connection.execute(f"DELETE FROM alerts WHERE occurred_at < now() - interval '{ALERTS_KEPT}'")  # noqa: S608 - a constant


class DashboardChannel:
    """The dashboard reads the notifier's table: what is committed there has arrived."""

    async def deliver(self, notification: Notification) -> Delivery:  # noqa: ARG002 - the row itself is the delivery
        """Say that the row is visible."""
        return Delivery(delivered=True)


class LogChannel:
    """Writes a log line of the alert's severity, which also reaches the `logs` topic."""

    async def deliver(self, notification: Notification) -> Delivery:
        """Write the line."""
        write = _log.info if notification.severity == Severity.INFO else _log.warning
        write(
            notification.title,
            alert_type=notification.alert_type,
            severity=notification.severity,
            body=notification.body,
            occurred_at=notification.occurred_at.isoformat(),
        )
        return Delivery(delivered=True)


def _kind(alert: AlertRaised) -> tuple[str, str, str, str]:
    """Return what makes two alerts repetitions; the severity tells the end of a trouble from the trouble."""
    return alert.alert_type.value, alert.severity.value, alert.component, _storable(alert.subject)


def _storable(text: str) -> str:
    """Postgres holds every character but NUL."""
    return text.replace("\0", "\ufffd")
