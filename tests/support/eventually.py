"""Waiting for what must become true, with a deadline, in place of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    probe: Callable[[], Awaitable[T]], *, seconds: float = 20.0, every_s: float = 0.05, what: str = "the condition"
) -> T:
    """Return the first truthy answer of `probe`, asked again and again; fail when none came in time."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    answer = await probe()
    while not answer:
        if loop.time() > ends:
            message = f"expected {what} within {seconds:g} s, found {answer!r}"
            raise AssertionError(message)
        await asyncio.sleep(every_s)
        answer = await probe()
    return answer
