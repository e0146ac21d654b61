"""What was published and the outbox does not know is found, taken back once, and known from then on."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.common.contracts.codec import encode
from libs.common.contracts.events import OrderUpdated
from libs.common.contracts.topics import TopicName
from libs.common.messaging import published
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.published import PublishedEvents, RestoredTooFarError, remember_published
from libs.common.messaging.records import RawRecord
from libs.common.storage.postgres import Database
from tests.support.events import AT, every_event
from tests.support.migrated import MigratedDatabase
from tests.support.stores import KafkaForTests

UPDATE = next(event for event in every_event() if isinstance(event, OrderUpdated))
TOPICS = (TopicName.ORDERS_UPDATES, TopicName.FILLS)


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("trade_executor")
    yield database
    await database.close()


@pytest.fixture
async def cluster(kafka: KafkaForTests, topic_prefix: str) -> Kafka:
    cluster = Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)
    await apply_topics(cluster)
    return cluster


def revisions(records: Sequence[RawRecord]) -> list[int]:
    events = [record.decoded().event for record in records]
    return [event.revision for event in events if isinstance(event, OrderUpdated)]


async def publish(cluster: Kafka, numbers: range) -> None:
    producer = cluster.producer()
    updates = [
        UPDATE.model_copy(update={"revision": number, "occurred_at": AT + timedelta(seconds=number)})
        for number in numbers
    ]
    envelopes = [enclose(update, cause=Cause.none(), ordinal=0, now=AT) for update in updates]
    await producer.send([(encode(envelope), None) for envelope in envelopes])
    await producer.close()


async def test_only_what_the_outbox_does_not_know_is_forgotten_and_only_until_it_was_taken_back(
    database: Database, cluster: Kafka
):
    events = PublishedEvents(database=database, kafka=cluster, topics=TOPICS)
    assert await events.forgotten() == []

    await publish(cluster, range(1, 251))
    first = await events.forgotten()
    async with database.transaction() as transaction:
        await remember_published(transaction, first)
    nothing = await events.forgotten()
    await publish(cluster, range(251, 254))
    second = await events.forgotten()

    assert revisions(first) == [*range(1, 251)]
    assert nothing == []
    assert revisions(second) == [251, 252, 253]
    async with database.transaction() as transaction:
        await remember_published(transaction, [*second, replace(second[0], key="")])
    async with database.connection() as connection:
        heads = {row["account"]: row["sequence"] for row in await connection.fetch("SELECT * FROM outbox_heads")}
        rows = await connection.fetch("SELECT sequence, published_at FROM outbox WHERE account = $1", first[0].key)
    assert heads == {first[0].key: 253, "": 1}
    assert sorted(row["sequence"] for row in rows) == [*range(1, 254)]
    assert all(row["published_at"] is not None for row in rows)


async def test_a_topic_on_which_nothing_happened_for_long_is_known_however_much_was_told_on_others(
    database: Database, cluster: Kafka, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(published, "OUTBOX_ROWS_MAX", 5)
    events = PublishedEvents(database=database, kafka=cluster, topics=TOPICS)
    await publish(cluster, range(1, 4))
    told = await events.forgotten()
    others = [
        replace(told[0], topic=TopicName.FILLS, headers=(("event_id", f"fill {number}".encode()),))
        for number in range(6)
    ]

    async with database.transaction() as transaction:
        await remember_published(transaction, [*told, *others])

    assert await events.forgotten() == []


async def test_a_record_that_nobody_can_read_is_remembered_like_any_other(database: Database, cluster: Kafka):
    await publish(cluster, range(1, 3))
    events = PublishedEvents(database=database, kafka=cluster, topics=TOPICS)
    told = await events.forgotten()

    async with database.transaction() as transaction:
        await remember_published(transaction, [replace(told[0], value=b"\x00\xff"), told[1]])

    assert await events.forgotten() == []


async def test_a_database_from_too_long_ago_refuses_the_start(
    database: Database, cluster: Kafka, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(published, "FORGOTTEN_RECORDS_MAX", 100)
    await publish(cluster, range(1, 152))

    with pytest.raises(RestoredTooFarError, match="restored to a moment too long ago"):
        await PublishedEvents(database=database, kafka=cluster, topics=TOPICS).forgotten()
