"""One process of the echo: reads, commits or not, passes on or makes a request, and does no work.

Invariant: the same client library, settings, partitions, commits and record size as the pipeline's hop in its place.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from enum import StrEnum
from typing import Final

import aiohttp
from aiokafka import AIOKafkaConsumer
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.common.clock import Clock, SystemClock
from libs.common.contracts.codec import WireRecord
from libs.common.contracts.topics import TopicName
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.polling import PartitionPoller
from libs.common.messaging.records import RawRecord
from libs.common.observability.health import Health, serve
from libs.common.storage.postgres import Database

TOPIC_PREFIX: Final = "echo-"
TABLE: Final = "CREATE TABLE echo (stage text NOT NULL, event_id text NOT NULL, value text NOT NULL)"
TRAIL: Final = "trail"
ANSWERED_S_MAX: Final = 5.0
REQUEST_S_MAX: Final = 5.0

_INSERT: Final = "INSERT INTO echo (stage, event_id, value) VALUES ($1, $2, $3)"


class Stage(StrEnum):
    """Which process of the pipeline this one stands for."""

    GENERATOR = "generator"
    """Reads and passes on."""
    MANAGER = "manager"
    """Reads, commits and passes on."""
    EXECUTOR = "executor"
    """Reads, commits and makes the request."""


READS: Final[Mapping[Stage, TopicName]] = {
    Stage.GENERATOR: TopicName.MARKET_CANDLES,
    Stage.MANAGER: TopicName.SIGNALS,
    Stage.EXECUTOR: TopicName.ORDERS_APPROVED,
}
WRITES: Final[Mapping[Stage, TopicName]] = {
    Stage.GENERATOR: TopicName.SIGNALS,
    Stage.MANAGER: TopicName.ORDERS_APPROVED,
}


class Settings(BaseSettings):
    """Where the others are, from the environment.

    Attributes:
        url: Where the executor's stage makes its request.
    """

    model_config = SettingsConfigDict(env_prefix="ECHO_", frozen=True)

    stage: Stage
    kafka: str
    postgres: str
    url: str
    health_port: int


class EchoStage:
    """Handles one record after the other."""

    def __init__(
        self, settings: Settings, *, kafka: Kafka, database: Database, session: aiohttp.ClientSession, clock: Clock
    ) -> None:
        self._stage = settings.stage
        self._url = settings.url
        self._producer = kafka.producer()
        self._database = database
        self._session = session
        self._clock = clock

    async def handle(self, record: RawRecord) -> None:
        """Do what the stage does, and note on the record when it was read."""
        headers = (*record.headers, (TRAIL, self._clock.now().isoformat().encode()))
        texts = {name: content.decode() for name, content in headers}
        if self._stage is not Stage.GENERATOR:
            async with self._database.transaction() as connection:
                await connection.execute(_INSERT, self._stage.value, texts["event_id"], record.value.decode())
        topic = WRITES.get(self._stage)
        if topic is not None:
            await self._producer.send([(WireRecord(topic, record.key, record.value, headers), None)])
            return
        trail = [("at", content.decode()) for name, content in headers if name == TRAIL]
        parameters = [("id", texts["event_id"]), ("at", texts["origin_at"]), *trail]
        parameters.append(("at", self._clock.now().isoformat()))
        async with self._session.get(self._url, params=parameters) as response:
            await response.read()


async def _to_the_beginning(consumer: AIOKafkaConsumer) -> None:
    for partition in consumer.assignment():
        consumer.seek(partition, 0)


async def run(settings: Settings) -> None:
    """Handle records until the process is ended."""
    clock = SystemClock()
    kafka = Kafka(settings.kafka, client_id=f"echo-{settings.stage}", topic_prefix=TOPIC_PREFIX)
    poller = PartitionPoller(kafka, topics=[READS[settings.stage]], seek=_to_the_beginning, clock=clock)
    health = Health(name=f"echo_{settings.stage}", clock=clock)
    database = await Database.connect(settings.postgres, application=f"echo {settings.stage}")

    async def reads() -> bool:
        return poller.answered_lately(ANSWERED_S_MAX)

    health.check("kafka", reads)
    await serve(health.application(), host="127.0.0.1", port=settings.health_port)
    timeout = aiohttp.ClientTimeout(total=REQUEST_S_MAX)
    async with asyncio.TaskGroup() as tasks, aiohttp.ClientSession(timeout=timeout) as session:
        tasks.create_task(health.run_checks())
        stage = EchoStage(settings, kafka=kafka, database=database, session=session, clock=clock)
        async with aclosing(poller.batches()) as batches:
            async for records in batches:
                for record in records:
                    await stage.handle(record)


if __name__ == "__main__":
    asyncio.run(run(Settings()))
