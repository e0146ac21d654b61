"""Kafka as the clients see it: logs with offsets, at least once, in the order of each partition, sometimes late.

Invariant: what was acknowledged is in the log; what was not may be there too, and is sent again by whoever asked.
"""

import asyncio
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiokafka import TopicPartition

from libs.common.clock import epoch_ms
from libs.common.contracts.codec import WireRecord
from libs.common.contracts.topics import TOPIC_BY_NAME, TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.kafka import Kafka, Producer
from tests.simulation.machine import Machine


@dataclass(frozen=True, slots=True)
class Stored:
    """A record of a log, with the attributes of aiokafka's."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int


@dataclass
class Cluster:
    """The broker.

    Attributes:
        down: Nobody is answered.
        full: Nothing can be written.
        delay_s_max: How long anything may take.
        doubled_rate: How often records are written although their writer is told that they were not.
    """

    machine: Machine
    chance: Random
    down: bool = False
    full: bool = False
    delay_s_max: float = 0.01
    doubled_rate: float = 0.0
    logs: dict[TopicPartition, list[Stored]] = field(default_factory=dict)
    _waiting: "dict[asyncio.Future[None], Collection[TopicPartition]]" = field(default_factory=dict)

    def log(self, partition: TopicPartition) -> list[Stored]:
        """Return the records of a partition."""
        return self.logs.setdefault(partition, [])

    def events(self, topic: TopicName) -> list[Stored]:
        """Return the records of a topic, partition by partition."""
        return [record for partition, log in self.logs.items() if partition.topic == topic for record in log]

    async def answer(self) -> None:
        """Take the time of a request.

        Raises:
            RetryableError: The broker is down.
        """
        await asyncio.sleep(self.chance.uniform(0.0002, self.delay_s_max))
        if self.down:
            await asyncio.sleep(1.0)
            raise RetryableError("Kafka: expected a broker, found none")

    async def append(self, records: Sequence[tuple[WireRecord, int | None]]) -> None:
        """Write records and wake whoever waits for some."""
        await self.answer()
        if self.full:
            raise RetryableError("Kafka: expected an acknowledgement, found a full disk")
        now_ms = epoch_ms(self.machine.clock.now())
        written: set[TopicPartition] = set()
        for record, partition in records:
            count = TOPIC_BY_NAME[record.topic].partitions
            place = TopicPartition(
                record.topic.value, zlib.crc32(record.key.encode()) % count if partition is None else partition
            )
            written.add(place)
            log = self.log(place)
            log.append(
                Stored(
                    topic=place.topic,
                    partition=place.partition,
                    offset=len(log),
                    key=record.key.encode(),
                    value=record.value,
                    headers=tuple(record.headers),
                    timestamp=now_ms,
                )
            )
        for future, awaited in list(self._waiting.items()):
            if not written.isdisjoint(awaited):
                self._end_waiting(future)
        if self.chance.random() < self.doubled_rate:
            raise RetryableError("Kafka: expected an acknowledgement, found none")

    async def wait(self, partitions: Collection[TopicPartition], seconds: float) -> None:
        """Wait until something is written to one of the partitions, or for so long."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting[future] = partitions
        timer = loop.call_later(seconds, self._end_waiting, future)
        try:
            await future
        finally:
            self._waiting.pop(future, None)
            timer.cancel()

    def _end_waiting(self, future: "asyncio.Future[None]") -> None:
        self._waiting.pop(future, None)
        if not future.done():
            future.set_result(None)


class SimulatedKafka(Kafka):
    """What a process holds of the cluster."""

    def __init__(self, cluster: Cluster, client_id: str) -> None:
        super().__init__(bootstrap_servers="simulated", client_id=client_id)
        object.__setattr__(self, "cluster", cluster)

    cluster: Cluster

    def producer(self) -> Producer:
        """Return a producer."""
        return SimulatedProducer(self)

    async def consumer(self, **_: Any) -> Any:
        """Return a consumer."""
        await self.cluster.answer()
        return SimulatedConsumer(self.cluster)

    async def ping(self) -> bool:
        """Return whether the cluster answers."""
        return not self.cluster.down

    @staticmethod
    async def stop(client: Any) -> None:
        """Let go of a client."""
        del client


class SimulatedProducer(Producer):
    """Writes to the cluster's logs."""

    def __init__(self, kafka: SimulatedKafka) -> None:
        super().__init__(kafka)
        self._cluster = kafka.cluster

    async def send(self, records: Sequence[tuple[WireRecord, int | None]]) -> None:
        """Write records; what is written when an error is raised, nobody knows."""
        topics = dict.fromkeys(record.topic.value for record, _ in records)
        for topic in topics:
            await self._cluster.machine.reach(f"publishing {topic}")
        await self._cluster.append(records)
        for topic in topics:
            await self._cluster.machine.reach(f"published {topic}")

    async def close(self, *, wait: bool = True) -> None:
        """Nothing is open."""


class SimulatedConsumer:
    """Reads from the cluster's logs, as far as `libs.common.messaging` uses aiokafka's consumer."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._next: dict[TopicPartition, int] = {}
        self._answered_ms: int | None = None

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._next = dict.fromkeys(partitions, 0)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._next)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._next[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._next[partition]

    def highwater(self, partition: TopicPartition) -> int:
        return len(self._cluster.log(partition))

    def last_poll_timestamp(self, partition: TopicPartition) -> int | None:
        del partition
        return self._answered_ms

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._cluster.answer()
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._cluster.answer()
        return {partition: len(self._cluster.log(partition)) for partition in partitions}

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        await self._cluster.answer()
        return {
            partition: next((record for record in self._cluster.log(partition) if record.timestamp >= at_ms), None)
            for partition, at_ms in times.items()
        }

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Stored]]:
        """Return what there is, or wait for something."""
        if not any(len(self._cluster.log(each)) > place for each, place in self._next.items()):
            await self._cluster.wait(self._next, timeout_ms / 1_000)
        await self._cluster.answer()
        self._answered_ms = epoch_ms(self._cluster.machine.clock.now())
        found = {}
        for partition in partitions or tuple(self._next):
            begin = self._next[partition]
            records = self._cluster.log(partition)[begin : begin + (max_records or 500)]
            if records:
                found[partition] = records
                self._next[partition] = begin + len(records)
        return found
