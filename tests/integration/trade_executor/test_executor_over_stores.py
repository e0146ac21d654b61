"""The whole executor over real Kafka, Postgres and Redis, trading on the paper exchange."""

import asyncio
import json
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest
from aiohttp.test_utils import unused_port
from redis.asyncio import Redis

from libs.common.contracts.codec import encode
from libs.common.contracts.event import Event
from libs.common.contracts.events import OrderApproved, TradingStateChanged
from libs.common.contracts.vocabulary import Role, Side, TradingState
from libs.common.control.permit import PermitWriter
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import Kafka
from tests.support.eventually import eventually
from tests.support.migrated import PASSWORD, MigratedDatabase
from tests.support.paper_exchange import PaperExchange
from tests.support.service_process import running_service
from tests.support.stores import KafkaForTests

SYMBOL = "BTC/USDT"
READY_S_MAX = 60.0


class Stack:
    """Runs the service as a process, approves orders over Kafka, and reads what it recorded."""

    def __init__(
        self, environment: dict[str, str], database: MigratedDatabase, kafka: Kafka, redis: Redis, rest_url: str
    ) -> None:
        self._environment = environment
        self._database = database
        self._redis = redis
        self._rest_url = rest_url
        self._producer = kafka.producer()

    @asynccontextmanager
    async def running(self, *, killed: bool = False) -> AsyncIterator[Process]:
        """Run the service; unless it is killed, it must end in order when it is told to."""
        async with running_service("services.trade_executor", self._environment) as process:
            renewing = asyncio.create_task(self._renew())
            try:
                await eventually(self._is_ready, seconds=READY_S_MAX, what="readiness")
                yield process
            finally:
                renewing.cancel()
            if killed:
                process.kill()

    async def publish(self, event: Event) -> None:
        envelope = enclose(event, cause=Cause(event_id=uuid.uuid4()), ordinal=0, now=event.occurred_at)
        await self._producer.send([(encode(envelope), None)])

    async def approve(self, **changes: Any) -> uuid.UUID:
        """Approve an entry at a price that fills, protected far away from it."""
        price = await self.price()
        tick = Decimal("0.01")
        approval = OrderApproved.model_validate(
            {
                "occurred_at": datetime.now(UTC),
                "intent_id": uuid.uuid4(),
                "signal_id": "signal",
                "strategy": "ema_cross",
                "account": "main",
                "symbol": SYMBOL,
                "side": Side.BUY,
                "role": Role.ENTRY,
                "quantity": Decimal("0.002"),
                "limit_price": (price * Decimal("1.002")).quantize(tick),
                "reference_price": price,
                "stop_loss": (price * Decimal("0.95")).quantize(tick),
                "take_profit": (price * Decimal("1.05")).quantize(tick),
                "expires_at": datetime.now(UTC) + timedelta(seconds=10),
                "halt_epoch": 0,
                "risk_epoch": 1,
                "configuration_version": 1,
                **changes,
            }
        )
        await self.publish(approval)
        return approval.intent_id

    async def activate(self) -> None:
        await self.publish(
            TradingStateChanged(
                occurred_at=datetime.now(UTC), account="main", state=TradingState.ACTIVE, halt_epoch=0, revision=1
            )
        )

    async def price(self) -> Decimal:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self._rest_url}/api/v3/ticker/bookTicker?symbol=BTCUSDT") as response,
        ):
            return Decimal((await response.json())["askPrice"])

    async def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self._database.url_of("reader"))
        try:
            return [dict(row) for row in await connection.fetch(statement, *parameters)]
        finally:
            await connection.close()

    async def order(self, intent_id: uuid.UUID, *statuses: str) -> dict[str, Any]:
        """Wait until the order has one of these states."""

        async def probe() -> dict[str, Any] | None:
            rows = await self.rows("SELECT * FROM reading.orders WHERE intent_id = $1", intent_id)
            return rows[0] if rows and rows[0]["status"] in statuses else None

        found = await eventually(probe, what=f"the order as {' or '.join(statuses)}")
        assert found is not None
        return found

    async def protection(self, intent_id: uuid.UUID) -> list[dict[str, Any]]:
        """Wait until both legs rest."""

        async def probe() -> list[dict[str, Any]]:
            rows = await self.rows(
                "SELECT * FROM reading.orders WHERE chain_id = $1 AND role = 'PROTECTION' AND status = 'ACCEPTED'",
                intent_id,
            )
            return rows if len(rows) == 2 else []

        return await eventually(probe, what="two resting legs")

    async def _is_ready(self) -> bool:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self._environment['TRADER_HEALTH_PORT']}/readyz") as response,
            ):
                ready = response.status == 200
        except aiohttp.ClientConnectionError:
            return False
        return ready and bool(await self.rows("SELECT * FROM reading.executor_ledger"))

    async def _renew(self) -> None:
        writer = PermitWriter(self._redis)
        while True:
            await deadline(writer.renew("main", risk_epoch=1, halt_epoch=0), 1, "permit")
            await asyncio.sleep(0.3)


@pytest.fixture
async def stack(  # noqa: PLR0917 - one fixture a store
    kafka: KafkaForTests,
    migrated: MigratedDatabase,
    redis_url: str,
    topic_prefix: str,
    paper_exchange: PaperExchange,
    tmp_path: Path,
) -> AsyncIterator[Stack]:
    cluster = Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)
    await apply_topics(cluster)
    address, redis_address = urlsplit(migrated.url), urlsplit(redis_url)
    (tmp_path / "postgres-trade_executor").write_text(PASSWORD)
    (tmp_path / "redis").write_text(redis_address.password or "")
    (tmp_path / "halt").mkdir()
    keys = tmp_path / "keys.json"
    credentials = paper_exchange.credentials
    keys.write_text(json.dumps({"main": {"api_key": credentials.api_key, "api_secret": credentials.api_secret}}))
    environment = {
        "TRADER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TRADER_TOPIC_PREFIX": topic_prefix,
        "TRADER_POSTGRES_ADDRESS": f"{address.hostname}:{address.port}{address.path}",
        "TRADER_REDIS_ADDRESS": f"{redis_address.hostname}:{redis_address.port}{redis_address.path}",
        "TRADER_SECRETS_DIR": str(tmp_path),
        "TRADER_EXCHANGE_REST_URL": paper_exchange.rest_url,
        "TRADER_EXCHANGE_WS_URL": paper_exchange.ws_url,
        "TRADER_EXCHANGE_KEYS_FILE": str(keys),
        "TRADER_HEALTH_PORT": str(unused_port()),
        "TRADER_INSTALLATION": uuid.uuid4().hex[:6],
        "TRADER_HALT_DIR": str(tmp_path / "halt"),
        "TRADER_OPERATORS_FILE": str(tmp_path / "operators.json"),
    }
    redis = Redis.from_url(redis_url, decode_responses=True)
    stack = Stack(environment, migrated, cluster, redis, paper_exchange.rest_url)
    await stack.activate()
    yield stack
    await stack._producer.close()
    await redis.aclose()


async def test_an_approval_is_bought_protected_survives_a_kill_and_is_sold(stack: Stack):
    async with stack.running(killed=True):
        entry = await stack.order(await stack.approve(), "FILLED", "ABANDONED")
        assert entry["status"] == "FILLED", entry["reason"]
        legs = await stack.protection(entry["intent_id"])

    async with stack.running():
        leaving = await stack.approve(
            side=Side.SELL, role=Role.EXIT, limit_price=None, expires_at=datetime.now(UTC) + timedelta(seconds=60)
        )
        sold = await stack.order(leaving, "FILLED")
        cancelled = [await stack.order(leg["intent_id"], "CANCELED") for leg in legs]

    fills = await stack.rows("SELECT * FROM reading.fills WHERE chain_id = $1", entry["intent_id"])
    bought = sum(fill["quantity"] - fill["commission"] for fill in fills if fill["side"] == "BUY")
    assert entry["filled_quantity"] == Decimal("0.002")
    assert {leg["type"] for leg in legs} == {"LIMIT_MAKER", "STOP_LOSS"}
    assert {leg["quantity"] for leg in legs} == {Decimal("0.00199")} == {sold["filled_quantity"]}
    assert bought == Decimal("0.001998")  # 0.002 - 0.1 %
    assert len(cancelled) == 2
    assert await stack.rows("SELECT * FROM reading.differences WHERE accepted_at IS NULL") == []
