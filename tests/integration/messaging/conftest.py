"""A cluster and a database of the test's own, with the state that `tests.support.owners` keeps."""

import asyncpg
import pytest

from libs.common.contracts.topics import TopicName
from libs.common.messaging.kafka import Kafka
from tests.support.migrated import MigratedDatabase
from tests.support.owners import ROLE, Installation
from tests.support.stores import KafkaForTests
from tests.support.wire import create_topics


@pytest.fixture
def cluster(kafka: KafkaForTests, topic_prefix: str) -> Kafka:
    return Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)


@pytest.fixture
async def installation(cluster: Kafka, migrated: MigratedDatabase) -> Installation:
    await create_topics(cluster, TopicName.FILLS, TopicName.ALERTS, TopicName.DEAD_LETTERS)
    connection = await asyncpg.connect(migrated.url)
    await connection.execute(f"CREATE TABLE {ROLE}.tally (account text PRIMARY KEY, quantity numeric NOT NULL)")
    await connection.close()
    return Installation(cluster, migrated)
