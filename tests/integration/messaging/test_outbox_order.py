"""The relay publishes every account's events in the order of their numbers, whatever commits first."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

import pytest

from libs.common.contracts.topics import TopicName
from libs.common.messaging.cause import Cause, enclose_all
from libs.common.messaging.outbox import OutboxRelay
from libs.common.messaging.sealing import OutboxRow, seal
from libs.common.observability import metrics
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Transaction
from tests.support.eventually import eventually
from tests.support.owners import CLOCK, DeafProducer, Installation, an_alert
from tests.support.wire import events_arrive, events_on, running


@pytest.fixture
async def database(installation: Installation) -> AsyncIterator[Database]:
    database = await installation.connect("test")
    await installation.fetchval("INSERT INTO ownership (role, epoch, holder) VALUES ('test', 1, 'test') RETURNING 1")
    yield database
    await database.close()


async def test_of_two_transactions_of_one_account_the_later_waits_for_the_earlier(
    installation: Installation, database: Database
) -> None:
    async def second() -> None:
        async with database.transaction() as transaction:
            await _append(transaction, "second")

    producer = installation.kafka.producer()
    relay = OutboxRelay(database=database, producer=producer)
    async with running(relay.run()):
        async with database.transaction() as transaction:
            await _append(transaction, "first")
            waiting = asyncio.create_task(second())
            await _append(transaction, "unrelated", account="other")
            await asyncio.wait({waiting}, timeout=0.5)  # it would have committed by now, if it did not have to wait
            assert not waiting.done()
        await waiting
        relay.look()
        answers = await events_arrive(installation.kafka, TopicName.ALERTS, 3)
    await producer.close()

    subjects = [answer.event.subject for answer in answers if answer.event.account == "main"]
    assert subjects == ["first", "second"]


async def test_another_account_does_not_wait(installation: Installation, database: Database) -> None:
    producer = installation.kafka.producer()
    relay = OutboxRelay(database=database, producer=producer)
    async with running(relay.run()), database.transaction() as transaction:
        await _append(transaction, "late")
        async with database.transaction() as other:
            await _append(other, "early", account="other")
        relay.look()

        (answer,) = await events_arrive(installation.kafka, TopicName.ALERTS, 1)
        assert answer.event.subject == "early"
    await producer.close()


async def test_a_transaction_that_fails_leaves_nothing_and_no_gap(
    installation: Installation, database: Database
) -> None:
    with pytest.raises(KeyError):
        await _fail_after(database, "lost")
    async with database.transaction() as transaction:
        await _append(transaction, "kept", "kept too")

    assert await installation.fetchval("SELECT array_agg(sequence ORDER BY sequence) FROM outbox") == [1, 2]


async def test_more_rows_than_one_turn_takes_are_published_in_order(
    installation: Installation, database: Database
) -> None:
    async with database.transaction() as transaction:
        await _append(transaction, *(f"{number:04}" for number in range(1_100)))  # a turn takes 500

    producer = installation.kafka.producer()
    async with running(OutboxRelay(database=database, producer=producer).run()):
        answers = await events_arrive(installation.kafka, TopicName.ALERTS, 1_100)
    await producer.close()

    assert [answer.event.subject for answer in answers] == [f"{number:04}" for number in range(1_100)]


async def test_what_a_transaction_left_is_published_without_reading_the_table(
    installation: Installation, database: Database
) -> None:
    relay = OutboxRelay(database=database, producer=installation.kafka.producer())
    async with running(relay.run()):
        async with database.transaction() as transaction:
            rows = await _append(transaction, "first")
        relay.committed(rows)
        await eventually(partial(_nothing_unpublished, installation))

        async with database.transaction() as transaction:
            rows = await _append(transaction, "never committed")
            relay.committed(rows)
            answers = await events_arrive(installation.kafka, TopicName.ALERTS, 2)

    assert [answer.event.subject for answer in answers] == ["first", "never committed"]


async def test_where_a_number_is_missing_the_table_tells_what_it_was(
    installation: Installation, database: Database
) -> None:
    relay = OutboxRelay(database=database, producer=installation.kafka.producer())
    async with running(relay.run()):
        for subjects in (("first",), ("unheard of",), ("third", "fourth")):
            async with database.transaction() as transaction:
                rows = await _append(transaction, *subjects)
            if subjects != ("unheard of",):
                relay.committed(rows)
        answers = await events_arrive(installation.kafka, TopicName.ALERTS, 4)
        await eventually(partial(_nothing_unpublished, installation))

    assert [answer.event.subject for answer in answers] == ["first", "unheard of", "third", "fourth"]


async def test_more_than_it_keeps_in_memory_is_read_from_the_table(
    installation: Installation, database: Database
) -> None:
    relay = OutboxRelay(database=database, producer=installation.kafka.producer())
    for number in range(3):
        async with database.transaction() as transaction:
            relay.committed(await _append(transaction, *(f"{number}{place:03}" for place in range(400))))

    async with running(relay.run()):
        answers = await events_arrive(installation.kafka, TopicName.ALERTS, 1_200)

    assert [answer.event.subject for answer in answers] == [f"{n}{place:03}" for n in range(3) for place in range(400)]


async def test_the_age_of_what_waits_is_measured_while_the_broker_is_away(
    installation: Installation, database: Database
) -> None:
    async def older_than_a_second() -> bool:
        return bool(metrics.OUTBOX_OLDEST_SECONDS._value.get() > 1)

    async with database.transaction() as transaction:
        await _append(transaction, "waiting")

    relay = OutboxRelay(database=database, producer=DeafProducer(installation.kafka))
    async with running(relay.run()):
        await eventually(older_than_a_second)

    assert await events_on(installation.kafka, TopicName.ALERTS) == []


async def _nothing_unpublished(installation: Installation) -> bool:
    return not await installation.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")


async def _fail_after(database: Database, subject: str) -> None:
    async with database.transaction() as transaction:
        await _append(transaction, subject)
        raise KeyError


async def _append(transaction: Transaction, *subjects: str, account: str = "main") -> Sequence[OutboxRow]:
    alerts = [an_alert(subject, account=account) for subject in subjects]
    envelopes = enclose_all(alerts, cause=Cause.none(), now=CLOCK.now())
    await transaction.begin()  # so that it commits when its block ends, not with its last statement
    return await seal(transaction, role="test", epoch=1, positions={}, envelopes=envelopes)
