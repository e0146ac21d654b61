"""The notifier's alerts in Postgres: each recorded once, with its notifications, in one transaction."""

import uuid
from datetime import datetime, timedelta
from typing import Final

from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AlertRaised
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Transaction
from services.notifier.adapters.patience import PatientDatabase
from services.notifier.domain.routing import Hold, Repetition, Route, Routing, is_urgent
from services.notifier.domain.texts import Text
from services.notifier.domain.words import Language
from services.notifier.service.ports import AlertWork, Decide, Unanswered

OVERDUE_AT_ONCE_MAX: Final = 20
ALERTS_KEPT: Final = timedelta(days=400)
REPETITIONS_KEPT: Final = timedelta(days=2)

_ADD_ALERT: Final = """
    INSERT INTO alerts (event_id, alert_type, severity, component, subject, account, symbol, message, parameters,
                        occurred_at, recorded_at, remind_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (event_id) DO NOTHING RETURNING TRUE
"""
_SETTLE: Final = "UPDATE alerts SET remind_at = NULL WHERE (account = $1 OR account IS NULL) AND remind_at IS NOT NULL"
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
    INSERT INTO notifications (event_id, channel, state, reason, title, body, language, repeats_suppressed, attempt_at,
                               urgent)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (event_id, channel) DO NOTHING
"""
_ACKNOWLEDGE: Final = """
    UPDATE alerts SET acknowledged_at = coalesce(acknowledged_at, $3), acknowledged_by = coalesce(acknowledged_by, $2),
                      remind_at = NULL
    WHERE event_id = $1 AND (account = $4 OR account IS NULL AND $5) RETURNING acknowledged_by
"""
_OVERDUE: Final = """
    SELECT alerts.event_id, reminders, first.title, first.body, first.language
    FROM alerts CROSS JOIN LATERAL (
        SELECT title, body, language FROM notifications WHERE event_id = alerts.event_id AND channel = 'log'
    ) AS first
    WHERE remind_at <= $1 ORDER BY remind_at LIMIT $2 FOR UPDATE OF alerts SKIP LOCKED
"""
_REMIND_AGAIN: Final = "UPDATE alerts SET reminders = reminders + 1, remind_at = $2 WHERE event_id = $1"
_TELL_AGAIN: Final = """
    INSERT INTO notifications (event_id, channel, state, reason, title, body, language, attempt_at, urgent)
    VALUES ($1, $2, 'QUEUED', '', $3, $4, $5, $6, TRUE)
    ON CONFLICT (event_id, channel) DO UPDATE
    SET state = 'QUEUED', reason = '', title = excluded.title, body = excluded.body, attempts = 0,
        attempt_at = excluded.attempt_at, taken_by = '', urgent = TRUE
"""


class PostgresAlertTransaction:
    """One alert's reads and writes."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, envelope: Envelope[AlertRaised], *, answered_by: datetime | None) -> bool:
        """Record the alert, and when somebody must have acknowledged it; False: it was recorded before."""
        alert = envelope.event
        added = await self._transaction.returning(
            _ADD_ALERT,
            envelope.event_id,
            alert.alert_type,
            alert.severity,
            storable(alert.component),
            storable(alert.subject),
            alert.account,
            alert.symbol,
            storable(alert.message),
            {storable(name): storable(value) for name, value in alert.parameters.items()},
            alert.occurred_at,
            envelope.recorded_at,
            answered_by,
        )
        return added is not None

    async def settle(self, account: str | None) -> None:
        """Expect no answers any more to what an account was stopped for."""
        await self._transaction.execute(_SETTLE, account)

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
                    storable(planned.channel),
                    *_state(planned),
                    storable(text.title),
                    storable(text.body),
                    language,
                    routing.repeats_suppressed,
                    planned.held_until or attempt_at,
                    is_urgent(envelope.event),
                )
                for planned in routing.routes
            ],
        )


class PostgresAlerts:
    """Handles alerts, one transaction each, and knows which wait for an answer."""

    def __init__(self, database: Database) -> None:
        self._database = PatientDatabase(database)

    async def handle(self, work: AlertWork) -> None:
        """Run `work` in a transaction."""
        async with self._database.transaction() as transaction:
            await work(PostgresAlertTransaction(transaction))

    async def acknowledge(
        self, event_id: uuid.UUID, *, by: str, at: datetime, account: str, may_all: bool
    ) -> str | None:
        """Note who has seen an alert of an account, or with `may_all` of all of them, the first one stays.

        Returns:
            Who that is, None for an alert that is not there.
        """
        async with self._database.connection() as connection:
            seen_by: str | None = await connection.fetchval(_ACKNOWLEDGE, event_id, by, at, account, may_all)
        return seen_by

    async def retell(self, now: datetime, decide: Decide) -> int:
        """Do what `decide` says of each that is overdue; return how many there were."""
        async with self._database.connection() as connection, connection.transaction():
            overdue = await connection.fetch(_OVERDUE, now, OVERDUE_AT_ONCE_MAX)
            for row in overdue:
                event_id, language = row["event_id"], row["language"]
                text = Text(row["title"], row["body"])
                told = decide(Unanswered(event_id=event_id, reminders=row["reminders"], text=text, language=language))
                await connection.execute(_REMIND_AGAIN, event_id, told.again_at)
                await connection.executemany(
                    _TELL_AGAIN,
                    [(event_id, channel, told.text.title, told.text.body, language, now) for channel in told.channels],
                )
        return len(overdue)

    async def prune(self) -> None:
        """Forget alerts and repetitions that are past their time."""
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM repetitions WHERE told_at < now() - $1::interval", REPETITIONS_KEPT)
            await connection.execute("DELETE FROM alerts WHERE occurred_at < now() - $1::interval", ALERTS_KEPT)


def storable(text: str) -> str:
    """Postgres holds every character but NUL."""
    return text.replace("\0", "\ufffd")


def _state(planned: Route) -> tuple[str, str]:
    if planned.suppression is not None:
        return "SUPPRESSED", planned.suppression
    return ("QUEUED", "") if planned.held_until is None else ("HELD", Hold.QUIET_HOURS)


def _kind(alert: AlertRaised) -> tuple[str, str, str, str]:
    """Return what makes two alerts repetitions; the severity tells the end of a trouble from the trouble."""
    return alert.alert_type.value, alert.severity.value, storable(alert.component), storable(alert.subject)
