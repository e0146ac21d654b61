from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from libs.common.storage.redis import RedisStore
from tests.support.migrated import migrated

__all__ = ["migrated"]


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    store = RedisStore.connect(redis_url, name="test")
    yield store.client
    await store.close()


@pytest.fixture
async def crowd(redis_url: str) -> AsyncIterator[Redis]:
    """A client with a connection for each of many callers."""
    client: Redis = Redis.from_url(redis_url, decode_responses=True, max_connections=256)
    yield client
    await client.aclose()
