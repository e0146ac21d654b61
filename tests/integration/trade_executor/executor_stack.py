"""A trade executor over real Kafka, Postgres and Redis, trading on the paper exchange: what its tests share."""

import asyncio
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import asyncpg
from redis.asyncio import Redis

from libs.common.contracts.codec import encode
from libs.common.contracts.event import Event
from libs.common.contracts.events import OrderApproved, TradingStateChanged
from libs.common.contracts.vocabulary import Role, Side, TradingState
from libs.common.control.permit import PermitWriter
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import Kafka
from tests.support.eventually import eventually
from tests.support.migrated import MigratedDatabase
from tests.support.paper_exchange import PaperExchange
from tests.support.service_process import running_service

SYMBOL = "BTC/USDT"
READY_S_MAX = 60.0


class Stack:
    """Runs the service as a process, approves orders over Kafka, and reads what it recorded."""

    def __init__(
        self,
        environment: dict[str, str],
        database: MigratedDatabase,
        kafka: Kafka,
        redis: Redis,
        exchange: PaperExchange,
    ) -> None:
        self.environment = environment
        self.database = database
        self._redis = redis
        self._exchange = exchange
        self._producer = kafka.producer()
        self._halt_dir = Path(environment["TRADER_HALT_DIR"])

    @asynccontextmanager
    async def running(self, *, killed: bool = False) -> AsyncIterator[Process]:
        """Run the service; unless it is killed, it must end in order when it is told to."""
        async with running_service("services.trade_executor", self.environment) as process:
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
                "limit_price": (price * Decimal("1.001")).quantize(tick, ROUND_DOWN),
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

    @property
    def halts(self) -> list[str]:
        """The files of the latched halts."""
        return sorted(path.name for path in self._halt_dir.glob("HALT*"))

    async def price(self) -> Decimal:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self._exchange.rest_url}/api/v3/ticker/bookTicker?symbol=BTCUSDT") as response,
        ):
            return Decimal((await response.json())["askPrice"])

    async def ask_exchange(self, method: str, path: str, **parameters: object) -> Any:
        """Ask the exchange as the account's owner, past the executor."""
        async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": self._exchange.credentials.api_key}) as session:
            async with session.get(f"{self._exchange.rest_url}/api/v3/time") as response:
                now_ms = (await response.json())["serverTime"]
            query = urlencode({**parameters, "timestamp": now_ms})
            signature = self._exchange.credentials.sign(query)
            url = f"{self._exchange.rest_url}{path}?{query}&signature={signature}"
            async with session.request(method, url) as response:
                answer = await response.json()
                assert response.status == 200, answer
                return answer

    async def balances(self) -> dict[str, Decimal]:
        """Return what the exchange holds for the account."""
        account = await self.ask_exchange("GET", "/api/v3/account")
        return {entry["asset"]: Decimal(entry["free"]) + Decimal(entry["locked"]) for entry in account["balances"]}

    async def ledger(self) -> dict[str, Decimal]:
        """Return what the account must hold by the executor's books."""
        return {row["asset"]: row["amount"] for row in await self.rows("SELECT * FROM reading.executor_ledger")}

    async def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.database.url_of("reader"))
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
                session.get(f"http://127.0.0.1:{self.environment['TRADER_HEALTH_PORT']}/readyz") as response,
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
