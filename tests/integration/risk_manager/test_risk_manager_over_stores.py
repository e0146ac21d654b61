"""The whole service over real Kafka, Postgres and Redis, with an HTTP server in the exchange's place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from libs.common.clock import SystemClock
from libs.common.contracts.codec import encode
from libs.common.contracts.event import Event
from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.halts import HaltRecord
from libs.common.control.permit import PermitReader
from libs.common.control.redis_latch import RedisHaltLatch
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.kafka import Kafka
from libs.common.storage.redis import RedisStore
from tests.service.risk_manager.builders import OPERATORS, a_command, a_mark, a_signal, a_status
from tests.support.eventually import eventually
from tests.support.migrated import PASSWORD, MigratedDatabase
from tests.support.service_process import running_service
from tests.support.stores import KafkaForTests

START_S_MAX = 60.0
"""A start takes two seconds; on a machine that many share, it may take much longer."""

EXCHANGE_INFO = {
    "symbols": [
        {
            "symbol": f"{base}USDT",
            "status": "TRADING",
            "baseAsset": base,
            "quoteAsset": "USDT",
            "orderTypes": ["LIMIT"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
                {"filterType": "NOTIONAL", "minNotional": "5.0", "maxNotional": "9000000.0"},
            ],
        }
        for base in ("BTC", "ETH")
    ]
}


async def answer(_: web.Request) -> web.Response:
    return web.json_response(EXCHANGE_INFO)


class Stack:
    """Runs the service as a process, speaks to it over Kafka, and reads what it wrote."""

    def __init__(
        self, environment: dict[str, str], database: MigratedDatabase, kafka: Kafka, redis: Redis, halt_dir: Path
    ) -> None:
        self._environment = environment
        self._database = database
        self.producer = kafka.producer()
        self.permits = PermitReader(redis, clock=SystemClock())
        self.in_redis = RedisHaltLatch(redis, accounts=("main",))
        self.in_files = FileHaltLatch(halt_dir)

    def running(self) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        """Run the service; unless it was killed it must end by itself, in order, when it is told to."""
        return running_service("services.risk_manager", self._environment)

    async def publish(self, event: Event) -> None:
        envelope = enclose(event, cause=Cause.none(), ordinal=0, now=event.occurred_at)
        await self.producer.send([(encode(envelope), None)])

    async def feed(self, equity: str = "10000") -> None:
        """Publish what comes every second: a status and a mark."""
        now = datetime.now(UTC)
        await self.publish(a_status(occurred_at=now))
        await self.publish(a_mark(equity, occurred_at=now))

    async def row(self, statement: str) -> dict[str, Any]:
        """Return the row, an empty one if there is none."""
        connection = await asyncpg.connect(self._database.url)
        try:
            found = await connection.fetchrow(statement)
            return {} if found is None else dict(found)
        finally:
            await connection.close()

    async def permitted(self) -> bool:
        await self.feed()
        return await self.permits.read("main") is not None

    async def in_state(self, state: str) -> dict[str, Any]:
        return await self.row(f"SELECT * FROM reading.trading_state WHERE state = '{state}'")

    async def decided(self, signal_id: str) -> dict[str, Any]:
        return await self.row(f"SELECT * FROM reading.risk_decisions WHERE signal_id = '{signal_id}'")


@pytest.fixture
async def stack(
    kafka: KafkaForTests,
    migrated: MigratedDatabase,
    redis_url: str,
    topic_prefix: str,
    tmp_path: Path,
) -> AsyncIterator[Stack]:
    cluster = Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)
    await apply_topics(cluster)
    database, redis = urlsplit(migrated.url), urlsplit(redis_url)
    (tmp_path / "postgres-risk_manager").write_text(PASSWORD)
    (tmp_path / "redis").write_text(redis.password or "")
    operators, halt_dir = tmp_path / "operators.json", tmp_path / "halt"
    OPERATORS.save(operators)
    application = web.Application()
    application.router.add_get("/api/v3/exchangeInfo", answer)
    async with TestServer(application) as exchange:
        environment = {
            "TRADER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRADER_TOPIC_PREFIX": topic_prefix,
            "TRADER_POSTGRES_ADDRESS": f"{database.hostname}:{database.port}{database.path}",
            "TRADER_REDIS_ADDRESS": f"{redis.hostname}:{redis.port}{redis.path}",
            "TRADER_SECRETS_DIR": str(tmp_path),
            "TRADER_EXCHANGE_REST_URL": str(exchange.make_url("/")),
            "TRADER_OPERATORS_FILE": str(operators),
            "TRADER_HALT_DIR": str(halt_dir),
            "TRADER_START_ACTIVE": "1",
        }
        store = RedisStore.connect(redis_url, name="test")
        stack = Stack(environment, migrated, cluster, store.client, halt_dir)
        yield stack
        await stack.producer.close()
        await store.close()


async def test_signals_are_answered_and_a_halt_survives_a_kill_until_it_is_resumed(stack: Stack) -> None:
    async def halted_latch() -> bool:
        return len(await stack.in_redis.read()) == len(await stack.in_files.read()) == 1

    async def acknowledged() -> bool:
        published = """
            SELECT count(*) FROM risk_manager.outbox
            WHERE headers ->> 'event_type' = 'CommandAcknowledged' AND published_at IS NOT NULL
        """
        return await stack.row(published) == {"count": 3}

    async def no_latch() -> bool:
        return not await stack.in_redis.read() and not await stack.in_files.read()

    async with stack.running() as process:
        await eventually(stack.permitted, seconds=START_S_MAX, what="a permit")
        await stack.publish(a_signal("first", occurred_at=datetime.now(UTC)))
        first = await eventually(lambda: stack.decided("first"), what="an answer")
        approved = "SELECT 1 FROM risk_manager.outbox WHERE topic = 'orders.approved' AND published_at IS NOT NULL"
        await eventually(lambda: stack.row(approved), what="the approval on its topic")

        halt = a_command("HALT", now=datetime.now(UTC))
        await stack.in_files.add(HaltRecord.of(halt))
        await eventually(lambda: stack.in_state("HALTED"), what="the halt")
        await eventually(halted_latch, what="the halt in both latches")
        assert await stack.permits.read("main") is None
        process.kill()

    async with stack.running():
        await stack.feed()
        await stack.publish(a_signal("second", occurred_at=datetime.now(UTC)))
        second = await eventually(lambda: stack.decided("second"), what="an answer")
        await stack.publish(a_command("RESUME", now=datetime.now(UTC), clears=(str(halt.command_id),)))
        await eventually(lambda: stack.in_state("REDUCING"), what="the resumption")
        await eventually(no_latch, what="the settled halt out of both latches")
        await stack.publish(a_command("START", now=datetime.now(UTC)))
        await eventually(stack.permitted, what="a permit again")
        await eventually(acknowledged, what="an answer to each of the three commands")

    assert first["approved"]
    assert second["reason"] == "TRADING_IS_NOT_ACTIVE"


async def test_the_daily_loss_halts_at_its_limit(stack: Stack) -> None:
    async def after_a_mark() -> dict[str, Any]:
        await stack.feed("9700")  # 10 000 less 3 %
        return await stack.in_state("HALTED")

    async with stack.running():
        await eventually(stack.permitted, seconds=START_S_MAX, what="a permit")
        state = await eventually(after_a_mark, what="the halt")

    assert state["trigger"] == "DAILY_LOSS_EXCEEDED"
    assert len(state["halts"]) == 1


async def test_a_changed_limit_holds_for_the_next_signal_and_outlives_a_kill(stack: Stack) -> None:
    async def stored() -> dict[str, Any]:
        return await stack.row("SELECT * FROM reading.configuration_versions WHERE version = 2")

    async with stack.running() as process:
        await eventually(stack.permitted, seconds=START_S_MAX, what="a permit")
        await stack.publish(a_command("CONFIGURE", now=datetime.now(UTC), changes={"safety.order_notional_max": "100"}))
        version = await eventually(stored, what="the second version")
        process.kill()

    async with stack.running():
        await stack.feed()
        await stack.publish(a_signal("after", occurred_at=datetime.now(UTC)))
        decided = await eventually(lambda: stack.decided("after"), seconds=START_S_MAX, what="an answer")

    assert (version["issuer"], version["loosened"]) == ("alice", [])
    assert decided["configuration_version"] == 2
    assert decided["configuration_hash"] == version["hash"]
    assert decided["notional"] is None or decided["notional"] <= 100
