import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import unused_port
from redis.asyncio import Redis

from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from tests.integration.trade_executor.executor_stack import Stack
from tests.support.migrated import PASSWORD, MigratedDatabase
from tests.support.paper_exchange import PaperExchange, paper_exchange
from tests.support.stores import KafkaForTests

__all__ = ["paper_exchange"]


@pytest.fixture
async def stack(  # noqa: PLR0917 - one fixture a store
    kafka: KafkaForTests,
    migrated: MigratedDatabase,
    redis_url: str,
    topic_prefix: str,
    paper_exchange: PaperExchange,
    tmp_path: Path,
) -> AsyncIterator[Stack]:
    cluster = Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)
    await apply_topics(cluster)
    address, redis_address = urlsplit(migrated.url), urlsplit(redis_url)
    (tmp_path / "postgres-trade_executor").write_text(PASSWORD)
    (tmp_path / "redis").write_text(redis_address.password or "")
    (tmp_path / "halt").mkdir()
    keys = tmp_path / "keys.json"
    credentials = paper_exchange.credentials
    keys.write_text(json.dumps({"main": {"api_key": credentials.api_key, "api_secret": credentials.api_secret}}))
    environment = {
        "TRADER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TRADER_TOPIC_PREFIX": topic_prefix,
        "TRADER_POSTGRES_ADDRESS": f"{address.hostname}:{address.port}{address.path}",
        "TRADER_REDIS_ADDRESS": f"{redis_address.hostname}:{redis_address.port}{redis_address.path}",
        "TRADER_SECRETS_DIR": str(tmp_path),
        "TRADER_EXCHANGE_REST_URL": paper_exchange.rest_url,
        "TRADER_EXCHANGE_WS_URL": paper_exchange.ws_url,
        "TRADER_EXCHANGE_KEYS_FILE": str(keys),
        "TRADER_HEALTH_PORT": str(unused_port()),
        "TRADER_INSTALLATION": uuid.uuid4().hex[:6],
        "TRADER_HALT_DIR": str(tmp_path / "halt"),
        "TRADER_OPERATORS_FILE": str(tmp_path / "operators.json"),
    }
    redis = Redis.from_url(redis_url, decode_responses=True)
    stack = Stack(environment, migrated, cluster, redis, paper_exchange)
    await stack.activate()
    yield stack
    await stack._producer.close()
    await redis.aclose()
