"""The topics of the cluster are those of the table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from libs.common.contracts.topics import TOPICS, Topic, TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from tests.support.eventually import eventually
from tests.support.wire import delete_topics


@pytest.fixture
async def applied(cluster: Kafka) -> AsyncIterator[Kafka]:
    yield cluster
    await delete_topics(cluster, *TopicName)  # 35 partitions that every later broker start would load


async def test_missing_topics_are_created_and_existing_ones_brought_in_line(applied: Kafka) -> None:
    async with _admin(applied) as admin:
        await admin.create_topics([NewTopic(applied.wire_topic(TopicName.LOGS), 1, 1, None, {"retention.ms": "1000"})])

    created = await apply_topics(applied)
    created_again = await apply_topics(applied)

    assert set(created) == {name.value for name in TopicName} - {"logs"}
    assert created_again == []
    async with _admin(applied) as admin:
        described = await admin.describe_topics([applied.wire_topic(name) for name in TopicName])
        assert {topic["topic"]: len(topic["partitions"]) for topic in described} == {
            applied.wire_topic(topic.name): topic.partitions for topic in TOPICS
        }
        for topic in TOPICS:
            await eventually(partial(_is_kept_as_in_the_table, admin, applied, topic), what=f"settings of {topic.name}")


async def test_a_cluster_that_is_away_is_retryable() -> None:
    with pytest.raises(RetryableError):
        await apply_topics(Kafka("127.0.0.1:1", "test"))


@asynccontextmanager
async def _admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def _is_kept_as_in_the_table(admin: AIOKafkaAdminClient, kafka: Kafka, topic: Topic) -> bool:
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, kafka.wire_topic(topic.name))])
    ((_, _, _, _, entries),) = response.resources
    settings = {entry[0]: entry[1] for entry in entries}
    kept = (settings["retention.ms"], settings["retention.bytes"], settings["cleanup.policy"])
    return kept == (str(topic.retention_ms), str(topic.retention_bytes), "delete")
