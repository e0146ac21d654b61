"""Asking Redis: an unreachable server is a `RetryableError` for everyone who reads or writes permits and halts."""

from collections.abc import Sequence
from typing import Any

from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from libs.common.errors import RetryableError


async def asked(script: AsyncScript, *, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
    """Return the answer of a script.

    Raises:
        RetryableError: Redis does not answer, or not in time.
    """
    try:
        return await script(keys=list(keys), args=list(args))
    except (RedisError, OSError) as error:
        raise RetryableError(f"Redis: expected an answer, found {error!r}") from error
