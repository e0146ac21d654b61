"""The notifications that wait, in Postgres.

Invariant: what is taken is marked with who took it and until when nobody else may, before anybody is told.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from libs.common.storage.postgres import Database
from services.notifier.adapters.alerts import storable
from services.notifier.adapters.patience import PatientDatabase
from services.notifier.domain.routing import Hold
from services.notifier.service.ports import Notification

TAKEN_FOR: Final = timedelta(seconds=300)
"""Who takes notifications and never comes back leaves them to others after this time: longer than any attempt."""
HELD_TOGETHER_MAX: Final = 1_000
ORPHANED_AT_ONCE_MAX: Final = 100
REASON_CHARACTERS_MAX: Final = 500

_RELEASE: Final = """
    UPDATE notifications SET taken_by = '', attempt_at = $2, attempts = greatest(attempts - 1, 0)
    WHERE taken_by = $1 AND state IN ('QUEUED', 'HELD')
"""
_TAKE: Final = """
    UPDATE notifications AS taken SET attempts = attempts + 1, attempt_at = $1 + $2::interval, taken_by = $3
    FROM alerts
    WHERE alerts.event_id = taken.event_id AND (taken.event_id, taken.channel) IN (
        SELECT event_id, channel FROM notifications WHERE {due} AND attempt_at <= $1
        ORDER BY urgent DESC, attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    RETURNING taken.event_id, channel, alert_type, severity, component, title, body, occurred_at, recorded_at,
              attempts, state = 'HELD' AS was_held
"""
_TAKE_QUEUED: Final = _TAKE.format(due="state = 'QUEUED' AND channel = $5")
_TAKE_URGENT: Final = _TAKE.format(due="state = 'QUEUED' AND urgent AND channel = $5")
_TAKE_HELD: Final = _TAKE.format(due="state = 'HELD' AND channel = $5")
_TAKE_ORPHANED: Final = _TAKE.format(due="state IN ('QUEUED', 'HELD') AND NOT channel = ANY($5)")
_HOLD: Final = """
    UPDATE notifications
    SET state = 'HELD', attempt_at = $3, reason = CASE WHEN state = 'HELD' THEN reason ELSE $4 END
    WHERE channel = $1 AND state IN ('QUEUED', 'HELD') AND attempt_at <= $2 AND NOT urgent
"""
_MARK_SENT: Final = """
    UPDATE notifications SET state = 'SENT', sent_at = $3, reason = '', taken_by = ''
    WHERE event_id = ANY($1) AND channel = $2
"""
_MARK_FAILED: Final = """
    UPDATE notifications SET reason = $3, attempt_at = $4, taken_by = '' WHERE event_id = ANY($1) AND channel = $2
"""
_GIVE_UP: Final = """
    UPDATE notifications SET state = 'FAILED', reason = $3, taken_by = '' WHERE event_id = ANY($1) AND channel = $2
"""
_ESCALATE: Final = """
    INSERT INTO notifications (event_id, channel, state, title, body, language, repeats_suppressed, attempt_at, urgent)
    SELECT event_id, next.channel, 'QUEUED', title, body, language, repeats_suppressed, $4, urgent
    FROM notifications AS failed CROSS JOIN LATERAL (
        SELECT way.channel FROM unnest($3::text[]) WITH ORDINALITY AS way (channel, place)
        WHERE NOT EXISTS (
            SELECT FROM notifications AS told WHERE told.event_id = failed.event_id AND told.channel = way.channel
        )
        ORDER BY way.place LIMIT 1
    ) AS next
    WHERE failed.event_id = ANY($1) AND failed.channel = $2
    ON CONFLICT (event_id, channel) DO NOTHING
"""
_NOTE_CHANNEL: Final = """
    INSERT INTO channels (channel, is_configured, problem, looked_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (channel) DO UPDATE
    SET is_configured = excluded.is_configured, problem = excluded.problem, looked_at = excluded.looked_at
"""


class PostgresOutbox:
    """The notifications that wait for delivery.

    Args:
        member: Tells this process from its replicas, and is the same after a restart.
    """

    def __init__(self, database: Database, *, member: str = "0") -> None:
        self._database = PatientDatabase(database)
        self._member = member

    async def release(self, now: datetime) -> None:
        """Let go of what this process had taken before it crashed."""
        async with self._database.connection() as connection:
            await connection.execute(_RELEASE, self._member, now)

    async def take(self, channel: str, now: datetime, *, at_once_max: int) -> Sequence[Notification]:
        """Return due notifications, the urgent first, marked as attempted, so that nobody else takes them meanwhile."""
        return await self._take(_TAKE_QUEUED, channel, now, at_once_max)

    async def take_urgent(self, channel: str, now: datetime) -> Sequence[Notification]:
        """Return one due notification that cannot wait, if there is one, marked likewise."""
        return await self._take(_TAKE_URGENT, channel, now, 1)

    async def take_held(self, channel: str, now: datetime) -> Sequence[Notification]:
        """Return everything that was held until now, marked likewise, oldest first."""
        return await self._take(_TAKE_HELD, channel, now, HELD_TOGETHER_MAX)

    async def take_orphaned(self, channels: Sequence[str], now: datetime) -> Sequence[Notification]:
        """Return what is due for channels that are none of these, marked as attempted."""
        return await self._take(_TAKE_ORPHANED, channels, now, ORPHANED_AT_ONCE_MAX)

    async def hold(self, channel: str, now: datetime, *, until: datetime) -> None:
        """Hold what is due and can wait, because the channel has had enough."""
        async with self._database.connection() as connection:
            await connection.execute(_HOLD, channel, now, until, Hold.RATE_LIMIT)

    async def mark_sent(self, notifications: Sequence[Notification], at: datetime) -> None:
        """Note that they arrived at their channel."""
        async with self._database.connection() as connection:
            await connection.execute(_MARK_SENT, *_keys(notifications), at)

    async def mark_failed(self, notifications: Sequence[Notification], reason: str, again_at: datetime) -> None:
        """Note that they did not, and when to try again."""
        async with self._database.connection() as connection:
            await connection.execute(_MARK_FAILED, *_keys(notifications), _reason(reason), again_at)

    async def give_up(
        self, notifications: Sequence[Notification], reason: str, at: datetime, *, escalation: Sequence[str]
    ) -> None:
        """Note that they never will, and queue each for the first channel of the escalation that it is not for yet."""
        keys = _keys(notifications)
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(_GIVE_UP, *keys, _reason(reason))
            await connection.execute(_ESCALATE, *keys, list(escalation), at)

    async def note_channels(self, problems: Mapping[str, str], *, configured: Sequence[str], at: datetime) -> None:
        """Write down the channels of this process and what keeps each from delivering, '' for nothing."""
        rows = [
            (channel, channel in configured, storable(problem), at) for channel, problem in sorted(problems.items())
        ]
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute("DELETE FROM channels")
            await connection.executemany(_NOTE_CHANNEL, rows)

    async def _take(self, query: str, which: str | Sequence[str], now: datetime, rows_max: int) -> list[Notification]:
        async with self._database.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, now, TAKEN_FOR, self._member, rows_max, which)
        return [Notification(**row) for row in sorted(rows, key=lambda row: row["occurred_at"])]


def _keys(notifications: Sequence[Notification]) -> tuple[list[object], str]:
    return [notification.event_id for notification in notifications], notifications[0].channel


def _reason(reason: str) -> str:
    return storable(reason[:REASON_CHARACTERS_MAX])
