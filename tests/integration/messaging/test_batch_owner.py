"""A recorder's batches: many records and their positions in one transaction."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

from libs.common.contracts.codec import WireRecord
from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.batch_owner import BATCH_RECORDS_MAX, BatchHandler, BatchOwner
from libs.common.messaging.outbox import OutboxRelay
from libs.common.messaging.ownership import Ownership
from libs.common.messaging.positions import Position, Positions
from libs.common.messaging.records import RawRecord
from tests.support.eventually import eventually
from tests.support.owners import CLOCK, ROLE, Installation, Tally, a_fill, an_alert
from tests.support.wire import running, write, write_records

TOPICS = (TopicName.FILLS, TopicName.ALERTS)


async def test_a_batch_and_the_positions_after_it_are_one_transaction(installation: Installation) -> None:
    batches: list[int] = []

    async def record(records: Sequence[RawRecord], tally: Tally) -> Positions:
        batches.append(len(records))
        await tally.add("main", Decimal(len(records)))
        return _after(records)

    await write(installation.kafka, *map(a_fill, range(700)), an_alert("beside"))
    async with _recorder(installation, record) as recorder, running(recorder.run()):
        await eventually(partial(_stands_at, installation, fills=700, alerts=1))

    assert await installation.tally() == sum(batches) == 701
    assert max(batches) <= BATCH_RECORDS_MAX


async def test_a_batch_that_failed_is_handed_over_again(installation: Installation) -> None:
    attempts: list[list[int]] = []

    async def record(records: Sequence[RawRecord], tally: Tally) -> Positions:
        attempts.append([record.offset for record in records])
        await tally.add("main", Decimal(len(records)))
        if len(attempts) == 1:
            raise RetryableError("expected room on the disk, found none")
        return _after(records)

    await write(installation.kafka, a_fill(1), a_fill(2))
    async with _recorder(installation, record) as recorder, running(recorder.run()):
        await eventually(partial(_stands_at, installation, fills=2))

    assert attempts[0] == attempts[1]
    assert await installation.tally() == 2


async def test_a_restarted_recorder_continues_where_its_handler_said(installation: Installation) -> None:
    seen: list[int] = []

    async def keep_all_but_the_last(records: Sequence[RawRecord], _: Tally) -> Positions:
        seen.extend(record.offset for record in records)
        return _after(records[:-1])

    await write(installation.kafka, *map(a_fill, range(3)))
    async with _recorder(installation, keep_all_but_the_last) as recorder, running(recorder.run()):
        await eventually(partial(_stands_at, installation, fills=2))
    async with _recorder(installation, keep_all_but_the_last, holder="two") as recorder, running(recorder.run()):
        await eventually(partial(_has_seen, seen, 4))

    assert seen == [0, 1, 2, 2]


async def test_records_that_nobody_can_decode_are_handed_over_too(installation: Installation) -> None:
    seen: list[bytes] = []

    async def record(records: Sequence[RawRecord], _: Tally) -> Positions:
        seen.extend(record.value for record in records)
        return _after(records)

    await write_records(installation.kafka, [WireRecord(TopicName.FILLS, "main", b"\x00poison", ())])
    async with _recorder(installation, record) as recorder, running(recorder.run()):
        await eventually(partial(_stands_at, installation, fills=1))

    assert seen == [b"\x00poison"]


@asynccontextmanager
async def _recorder(
    installation: Installation, handle: BatchHandler[Tally], *, holder: str = "one"
) -> AsyncIterator[BatchOwner[Tally]]:
    database = await installation.connect(holder)
    yield BatchOwner(
        handle=handle,
        database=database,
        ownership=Ownership(dsn=installation.dsn, role=ROLE, holder=holder, clock=CLOCK),
        relay=OutboxRelay(database=database, producer=installation.kafka.producer()),
        kafka=installation.kafka,
        role=ROLE,
        topics=TOPICS,
        bind=Tally,
        clock=CLOCK,
    )
    await database.close()


def _after(records: Sequence[RawRecord]) -> Positions:
    return {(record.topic, record.partition): Position(record.offset + 1, "") for record in records}


async def _stands_at(installation: Installation, *, fills: int, alerts: int = 0) -> bool:
    return [await installation.next_offset(topic) for topic in TOPICS] == [fills, alerts]


async def _has_seen(seen: Sequence[int], count: int) -> bool:
    return len(seen) >= count
