"""Halting over every path at once: what one of them cannot carry, another does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from libs.common.clock import Clock
from libs.common.control.patience import PatientCall
from libs.common.errors import RetryableError

HaltPath = Literal["kafka", "redis", "file"]
PATH_DEADLINE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltReceipt:
    """Which ways a halt went.

    Attributes:
        written_ms: Time that each successful path took.
        failed: What went wrong on each other one.
    """

    written_ms: Mapping[HaltPath, float]
    failed: Mapping[HaltPath, str]

    @property
    def paths(self) -> tuple[HaltPath, ...]:
        """The ways that carried the halt; none means that it did not reach anyone."""
        return tuple(self.written_ms)


async def issue_halt(
    writers: Mapping[HaltPath, Callable[[], Awaitable[None]]], *, clock: Clock, deadline_s: float = PATH_DEADLINE_S
) -> HaltReceipt:
    """Write a halt over all paths in parallel; one that hangs or fails delays no other.

    Args:
        writers: What writes each path: `publisher.send(command)`, `latch.add(HaltRecord.of(command))`.
        clock: Times each path.
        deadline_s: How long to wait for each; a slower one goes on but counts as failed.
    """
    started_at_s = clock.monotonic_s()

    async def attempt(path: HaltPath, write: Callable[[], Awaitable[None]]) -> tuple[HaltPath, float, str | None]:
        async def run() -> None:
            await write()

        failure = None
        try:
            await PatientCall(f"halt over {path}", run).answer(deadline_s)
        except (RetryableError, OSError) as error:
            failure = str(error) or type(error).__name__
        return path, (clock.monotonic_s() - started_at_s) * 1_000, failure

    attempts = await asyncio.gather(*(attempt(path, write) for path, write in writers.items()))
    return HaltReceipt(
        written_ms={path: took_ms for path, took_ms, failure in attempts if failure is None},
        failed={path: failure for path, _, failure in attempts if failure is not None},
    )
