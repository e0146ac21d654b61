"""The way of a command: out over Kafka, a halt also over Redis (its file is written before), and its answers back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from cli.place import Place
from libs.common.clock import Clock
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AccountSwept, CommandAcknowledged, ControlCommanded
from libs.common.contracts.topics import TopicName
from libs.common.control.halting import HaltPath, issue_halt
from libs.common.control.halts import HaltRecord
from libs.common.control.redis_latch import RedisHaltLatch
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.reader import TopicReader
from libs.common.storage.redis import RedisStore

READING_S_MAX: Final = 3.0
"""How long to wait for the answers' reader to find its place before a command other than a halt is sent."""

ANSWERS_SINCE: Final = timedelta(minutes=1)
"""A halt is sent before the reader has found its place: it reads what came meanwhile."""

LOOK_S: Final = 1.0
"""How often progress is told while a proof is waited for."""

Answer = tuple[CommandAcknowledged, float]
"""An answer, and when it came on the monotonic clock."""

Proof = tuple[AccountSwept, float]
"""The proof that a halt holds, and when it came on the monotonic clock."""


class ControlChannel:
    """Open while a command is on its way; use as a context manager."""

    def __init__(self, place: Place, *, clock: Clock) -> None:
        self._clock = clock
        kafka = place.kafka()
        self._publisher = Publisher(kafka, clock=clock)
        self._redis = RedisStore.connect(place.endpoints["redis"], name="trader")
        self._answers: list[Answer] = []
        self._proofs: list[Proof] = []
        self._arrived = asyncio.Event()
        self._reader = TopicReader(
            kafka,
            component="trader",
            publisher=self._publisher,
            topics=(TopicName.CONTROL_ACKS,),
            observers={CommandAcknowledged: self._on_answer, AccountSwept: self._on_proof},
            clock=clock,
            start=ANSWERS_SINCE,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start to read answers."""
        self._tasks = [asyncio.create_task(self._publisher.run()), asyncio.create_task(self._reader.run())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=READING_S_MAX)
        await self._redis.close()

    async def send(self, command: ControlCommanded) -> tuple[tuple[HaltPath, ...], dict[HaltPath, str]]:
        """Send a command; return the paths that carried it and what went wrong on the others.

        A halt does not wait for the reader of answers: it is out first.
        """
        if command.command == "HALT":
            receipt = await issue_halt(self._halt_writers(command), clock=self._clock)
            return receipt.paths, dict(receipt.failed)
        await asyncio.wait({asyncio.ensure_future(self._reader.caught_up.wait())}, timeout=READING_S_MAX)
        await self._publisher.send(command)
        return ("kafka",), {}

    async def answers(self, command: ControlCommanded, *, expected: frozenset[str], deadline_s: float) -> list[Answer]:
        """Return the answers to a command, as soon as all expected ones are there or the time is over."""
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    found = [answer for answer in self._answers if answer[0].command_id == command.command_id]
                    if expected <= {answer.component for answer, _ in found} or any(
                        not answer.accepted for answer, _ in found
                    ):
                        return found
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return [answer for answer in self._answers if answer[0].command_id == command.command_id]

    async def proof(
        self, halt_id: str, *, flat: bool, deadline_s: float, look: Callable[[], Awaitable[None]]
    ) -> Proof | None:
        """Return the proof that a halt holds, or None when it did not come in time.

        Args:
            halt_id: The halt.
            flat: Wait until everything that it covers is sold, too.
            deadline_s: How long to wait.
            look: Called every second meanwhile.
        """
        ends_at_s = self._clock.monotonic_s() + deadline_s
        while True:
            for proof, at_s in self._proofs:
                if proof.halt_id == halt_id and (proof.flat or not flat):
                    return proof, at_s
            left_s = ends_at_s - self._clock.monotonic_s()
            if left_s <= 0:
                return None
            self._arrived.clear()
            waiting = asyncio.ensure_future(self._arrived.wait())
            done, _ = await asyncio.wait({waiting}, timeout=min(left_s, LOOK_S))
            if not done:
                waiting.cancel()
                await look()

    async def _on_proof(self, received: Envelope[Any]) -> None:
        self._proofs.append((received.event, self._clock.monotonic_s()))
        self._arrived.set()

    async def _on_answer(self, received: Envelope[Any]) -> None:
        self._answers.append((received.event, self._clock.monotonic_s()))
        self._arrived.set()

    def _halt_writers(self, command: ControlCommanded) -> dict[HaltPath, Callable[[], Awaitable[None]]]:
        record = HaltRecord.of(command)
        redis = RedisHaltLatch(self._redis.client, accounts=(command.account,))
        return {
            "kafka": partial(self._publisher.send, command, deadline_s=1.0),
            "redis": partial(redis.add, record),
        }
