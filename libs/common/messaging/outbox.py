"""The outbox: events written in the transaction that caused them, published afterwards in account order.

A sequence is taken under the account's row lock, so rows commit in the order of their numbers and a reader of the
table can never overtake a row that commits later.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog

from libs.common.contracts.codec import WireRecord
from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.kafka import Producer
from libs.common.messaging.sealing import OutboxRow
from libs.common.observability import metrics
from libs.common.storage.postgres import Database

RELAY_ROWS_MAX: Final = 500
MARK_DELAY_S: Final = 0.1
"""Marks wait until nothing is to be published, so that they delay no order."""
LOOK_INTERVAL_S: Final = 30.0
RETRY_S: Final = 0.2
_log = structlog.get_logger(__name__)

_UNPUBLISHED: Final = """
    SELECT account, sequence, topic, key, value, headers,
        extract(epoch FROM clock_timestamp() - recorded_at)::float8 AS age_s
    FROM outbox WHERE published_at IS NULL ORDER BY account, sequence LIMIT $1
"""
_MARK: Final = """
    UPDATE outbox SET published_at = clock_timestamp()
    FROM unnest($1::text[], $2::bigint[]) AS sent (account, sequence),
         (SELECT set_config('synchronous_commit', 'off', true)) AS without_waiting_for_the_disk
    WHERE outbox.account = sent.account AND outbox.sequence = sent.sequence AND outbox.published_at IS NULL
"""
"""What waits is few rows: without the last condition every month would be searched for each."""


class OutboxRelay:
    """Publishes committed rows in account order, at least once; marks them when the broker has them.

    Rows come straight from the transaction that left them. Whenever some may be missing, at the start, after a failure
    or where an account's sequence has a gap, they are read from the table instead.
    """

    def __init__(self, *, database: Database, producer: Producer) -> None:
        self._database = database
        self._producer = producer
        self._woken = asyncio.Event()
        self._fresh: list[OutboxRow] = []
        self._published: dict[str, int] = {}
        self._unmarked: list[OutboxRow] = []
        self._must_look = True

    def committed(self, rows: Sequence[OutboxRow]) -> None:
        """Take what a transaction has left, in the order of the commits."""
        if len(self._fresh) + len(rows) > RELAY_ROWS_MAX:
            return self.look()
        self._fresh.extend(rows)
        if rows:
            self._woken.set()
        return None

    def look(self) -> None:
        """Have the table read: it may hold rows that nobody told of."""
        self._must_look = True
        self._fresh.clear()
        self._woken.set()

    async def run(self) -> None:
        """Publish, for ever; close the producer at the end."""
        try:
            await self._run()
        finally:
            await self._producer.close()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._relay()
                if await self._wait(MARK_DELAY_S if self._unmarked else LOOK_INTERVAL_S):
                    continue
                if self._unmarked:
                    await self._mark()
                else:
                    self._must_look = True  # in case of a fault that nothing else shows
            except (RetryableError, asyncpg.PostgresError) as error:
                self._must_look = True
                _log.warning("The outbox waits", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _wait(self, seconds: float) -> bool:
        """Return whether there is something to publish before the time is over."""
        try:
            async with asyncio.timeout(seconds):
                return await self._woken.wait()
        except TimeoutError:
            return False

    async def _relay(self) -> None:
        """Publish everything that waits."""
        while self._must_look or self._fresh:
            rows = await self._stored() if self._must_look else self._following()
            if not rows:
                continue
            await self._producer.send([(row.record, None) for row in rows])
            metrics.OUTBOX_RELAYED.inc(len(rows))
            self._published |= {row.account: row.sequence for row in rows}
            self._unmarked += rows
            if len(self._unmarked) >= RELAY_ROWS_MAX:
                await self._mark()
        metrics.OUTBOX_OLDEST_SECONDS.set(0.0)

    async def _stored(self) -> Sequence[OutboxRow]:
        """Return rows that are in the table; what is committed from now on comes as well, and is known by its number.

        The marks come first, or what was published would be read again.
        """
        self._must_look = False
        self._fresh.clear()
        await self._mark()
        async with self._database.connection() as connection:
            rows = await connection.fetch(_UNPUBLISHED, RELAY_ROWS_MAX)
        metrics.OUTBOX_OLDEST_SECONDS.set(max((row["age_s"] for row in rows), default=0.0))
        self._must_look |= len(rows) == RELAY_ROWS_MAX
        return [OutboxRow(row["account"], row["sequence"], _record(row)) for row in rows]

    def _following(self) -> Sequence[OutboxRow]:
        """Take the fresh rows that were not published yet; none where one before them is missing."""
        rows, self._fresh = self._fresh, []
        published = dict(self._published)
        following = []
        for row in rows:
            before = published.get(row.account)
            if before is None or row.sequence > before + 1:
                self._must_look = True
                return []
            if row.sequence == before + 1:
                published[row.account] = row.sequence
                following.append(row)
        return following

    async def _mark(self) -> None:
        """Mark what the broker has. A lost mark republishes a row, which readers know by its id."""
        rows = self._unmarked
        if rows:
            async with self._database.connection() as connection:
                await connection.execute(_MARK, [row.account for row in rows], [row.sequence for row in rows])
        self._unmarked = []


def _record(row: asyncpg.Record) -> WireRecord:
    return WireRecord(
        topic=TopicName(row["topic"]),
        key=row["key"],
        value=row["value"].encode(),
        headers=tuple((name, text.encode()) for name, text in row["headers"].items()),
    )
