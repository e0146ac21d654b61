"""The shared stores of the test session: one set, apart by prefix and database."""

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from tests.support.eventually import eventually
from tests.support.stores import KafkaForTests, PostgresForTests, StoreHost


async def test_a_test_gets_topics_of_its_own(kafka: KafkaForTests, topic_prefix: str) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.start()
    try:
        await client.create_topics([NewTopic(f"{topic_prefix}orders", 1, 1)])

        async def is_listed() -> bool:  # the broker hears of it from the controller, a moment later
            return f"{topic_prefix}orders" in await client.list_topics()

        await eventually(is_listed, what="the topic")
    finally:
        await client.close()


async def test_a_database_comes_from_its_template(postgres: PostgresForTests) -> None:
    async def build(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE orders (id int)")
        await connection.close()

    template = await postgres.template("template_orders", build)
    url = await postgres.fresh_database(template)

    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM orders") == 0
    await connection.close()
    await postgres.drop(url)


async def test_a_redis_database_is_handed_out_empty(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0


def test_the_broker_stays_small(kafka: KafkaForTests, store_host: StoreHost) -> None:
    assert kafka.bootstrap_servers
    assert store_host.processes()["kafka"].rss_mb < 300
