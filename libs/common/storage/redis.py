"""Redis with short deadlines and no retries: on the safety path a late answer is a wrong one.

redis-py's own defaults need up to 58 s to notice a frozen server; these need half a second.
"""

from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline

SOCKET_TIMEOUT_S: Final = 0.5
CONNECTIONS_MAX: Final = 16
CLOSE_TIMEOUT_S: Final = 1.0

UNREACHABLE: Final = (RedisError, OSError, TimeoutError)
"""What redis-py raises when the server is away, restarting or too slow."""


class RedisStore:
    """One client with bounded connections, and scripts registered once."""

    def __init__(self, client: Redis) -> None:
        self.client = client

    @classmethod
    def connect(cls, url: str, *, name: str) -> "RedisStore":
        """Return a store; connections are made when they are needed.

        Args:
            url: Address and password.
            name: Shown in CLIENT LIST.
        """
        client: Redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=CONNECTIONS_MAX,
            client_name=name.replace(" ", "-"),
            health_check_interval=0,
        )
        return cls(client)

    def script(self, source: str) -> AsyncScript:
        """Return a Lua script that runs atomically on the server."""
        return self.client.register_script(source)

    async def ping(self) -> bool:
        """Return whether the server answers."""
        try:
            pong: Any = await self.client.ping()
        except UNREACHABLE:
            return False
        return bool(pong)

    async def close(self) -> None:
        """Close the connections, within a bound."""
        try:
            await deadline(self.client.aclose(), CLOSE_TIMEOUT_S, "Redis close")
        except (*UNREACHABLE, RetryableError):
            return
