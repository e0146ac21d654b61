"""The bench's side of the echo: starts its processes, sends a record in and waits for the request at the end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import asyncpg
from aiohttp import web

from benchmarks.pipeline.echo import TABLE, TOPIC_PREFIX, Stage
from libs.common.clock import Clock
from libs.common.contracts.events import CandleClosed
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.observability.health import serve
from libs.embedded.services import Service, python_module
from libs.embedded.stack import Stack
from libs.embedded.stores.store import LOOPBACK
from libs.embedded.supervisor import Job

ECHO_S_MAX: Final = 10.0
TOPICS_JOB: Final = "echo topics"
TABLE_JOB: Final = "echo table"


class Echoes:
    """The do-nothing HTTP server at the end of the echo, and what arrived there."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[list[datetime]] = asyncio.Queue(maxsize=1_000)
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs."""
        application = web.Application()
        application.router.add_get("/", self._take)
        runner, port = await serve(application, host=LOOPBACK, port=0)
        self.url = f"http://{LOOPBACK}:{port}/"
        try:
            yield
        finally:
            await runner.cleanup()

    def services(self, stack: Stack) -> Sequence[Service]:
        """Return the processes of the echo."""
        return [
            Service(
                name=f"echo_{stage}",
                command=python_module("benchmarks.pipeline.echo"),
                environment={
                    "ECHO_STAGE": stage.value,
                    "ECHO_KAFKA": stack.addresses.kafka,
                    "ECHO_POSTGRES": stack.addresses.postgres,
                    "ECHO_URL": self.url,
                },
                health_port_variable="ECHO_HEALTH_PORT",
                depends_on=(TOPICS_JOB, TABLE_JOB),
            )
            for stage in Stage
        ]

    @staticmethod
    def jobs(stack: Stack) -> Sequence[Job]:
        """Return what is done before they start."""

        async def make_topics() -> None:
            await apply_topics(Kafka(stack.addresses.kafka, client_id="bench", topic_prefix=TOPIC_PREFIX))

        async def make_table() -> None:
            connection = await asyncpg.connect(stack.addresses.postgres)
            try:
                await connection.execute(TABLE)
            finally:
                await connection.close()

        return [
            Job(name=TOPICS_JOB, run=make_topics, depends_on=("kafka", "topics")),
            Job(name=TABLE_JOB, run=make_table, depends_on=("postgres",)),
        ]

    async def once(self, candle: CandleClosed, *, publisher: Publisher, clock: Clock) -> list[float] | None:
        """Send a candle in; return the milliseconds until it was read by each stage and requested, None if it is lost.

        Args:
            candle: The record; the pipeline gets one like it.
            publisher: Of the echo's topics.
            clock: The moment at which it leaves.
        """
        while not self._arrived.empty():
            self._arrived.get_nowait()  # one that was given up on
        publisher.publish(candle, origin_at=clock.now())
        try:
            async with asyncio.timeout(ECHO_S_MAX):
                began_at, *moments = await self._arrived.get()
        except TimeoutError:
            return None
        return [(moment - began_at).total_seconds() * 1_000 for moment in moments]

    async def _take(self, request: web.Request) -> web.Response:
        self._arrived.put_nowait([datetime.fromisoformat(text) for text in request.query.getall("at")])
        return web.Response()
