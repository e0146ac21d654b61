"""Creates the topics of the table, and brings the settings of existing ones in line (`trader topics apply`)."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from libs.common.contracts.topics import TOPICS, Topic
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import Kafka

APPLY_DEADLINE_S: Final = 30.0
SEGMENT_BYTES_MAX: Final = 64 * 1_048_576
"""A byte bound removes whole segments: small ones keep a topic near its bound."""
BROKERS_LOOK_S: Final = 0.2


async def apply_topics(kafka: Kafka, *, replication: int = 1) -> list[str]:
    """Create missing topics and update the settings of the others; return the names created.

    Args:
        kafka: The cluster.
        replication: How many copies of each new topic there are to be; waits for so many brokers. Existing topics
            keep theirs.

    Raises:
        RetryableError: The cluster cannot be reached or refuses.
    """
    admin = AIOKafkaAdminClient(**kafka.connection)
    try:
        await deadline(admin.start(), APPLY_DEADLINE_S, "Kafka admin start")
        return await deadline(_apply(admin, kafka, replication), APPLY_DEADLINE_S, "creating topics")
    except (KafkaError, OSError) as error:
        raise RetryableError(f"Kafka topics: expected them to be created, found {error!r}") from error
    finally:
        await kafka.stop(admin)


async def _apply(admin: AIOKafkaAdminClient, kafka: Kafka, replication: int) -> list[str]:
    await _brokers(admin, replication)
    existing = set(await admin.list_topics())
    missing = [topic for topic in TOPICS if kafka.wire_topic(topic.name) not in existing]
    if missing:
        response = await admin.create_topics(
            [
                NewTopic(
                    kafka.wire_topic(topic.name),
                    num_partitions=topic.partitions,
                    replication_factor=replication,
                    topic_configs=_settings(topic, replication),
                )
                for topic in missing
            ]
        )
        for _, code, *_ in response.topic_errors:
            if code not in {0, TopicAlreadyExistsError.errno}:
                raise for_code(code)
    present = [topic for topic in TOPICS if kafka.wire_topic(topic.name) in existing]
    if present:
        responses = await admin.alter_configs(
            [
                ConfigResource(
                    ConfigResourceType.TOPIC, kafka.wire_topic(topic.name), configs=_settings(topic, replication)
                )
                for topic in present
            ]
        )
        for code, *_ in (resource for response in responses for resource in response.resources):
            if code != 0:
                raise for_code(code)
    return [topic.name.value for topic in missing]


async def _brokers(admin: AIOKafkaAdminClient, count: int) -> None:
    """Wait until the cluster has so many brokers: its last ones may still be starting."""
    while True:
        cluster = await admin.describe_cluster()
        if len(cluster["brokers"]) >= count:
            return
        await asyncio.sleep(BROKERS_LOOK_S)


def _settings(topic: Topic, replication: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(topic.retention_ms),
        "retention.bytes": str(topic.retention_bytes),
        "segment.bytes": str(min(SEGMENT_BYTES_MAX, topic.retention_bytes // 4)),
        "compression.type": "producer",
        "min.insync.replicas": str(2 if replication > 2 else 1),  # noqa: PLR2004 - two of three
        "max.message.bytes": "1048588",
        "message.timestamp.type": "CreateTime",
    }
