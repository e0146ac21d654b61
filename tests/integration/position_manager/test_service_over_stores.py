"""The whole service over real Kafka and Postgres, with an HTTP server in the exchange's place."""

import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from libs.common.contracts.codec import encode
from libs.common.contracts.event import Event
from libs.common.contracts.events import CandleClosed, QuoteChanged
from libs.common.contracts.vocabulary import Side
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.kafka import Kafka
from tests.service.position_manager.world import a_fill
from tests.support.eventually import eventually
from tests.support.migrated import PASSWORD, MigratedDatabase
from tests.support.service_process import running_service
from tests.support.stores import KafkaForTests

FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
    {"filterType": "NOTIONAL", "minNotional": "5.0", "maxNotional": "9000000.0"},
]
ANSWERS = {
    "/api/v3/time": {"serverTime": 1_700_000_000_123},
    "/api/v3/account": {
        "updateTime": 1_700_000_000_000,
        "balances": [
            {"asset": "USDT", "free": "10000", "locked": "0"},
            {"asset": "BTC", "free": "0.05", "locked": "0"},
        ],
    },
    "/api/v3/exchangeInfo": {
        "symbols": [
            {
                "symbol": f"{base}USDT",
                "status": "TRADING",
                "baseAsset": base,
                "quoteAsset": "USDT",
                "orderTypes": ["LIMIT"],
                "filters": FILTERS,
            }
            for base in ("BTC", "ETH")
        ]
    },
}


async def answer(request: web.Request) -> web.Response:
    return web.json_response(ANSWERS[request.path])


class Stack:
    """Runs the service as a process, speaks to it over Kafka, and reads what it wrote."""

    def __init__(self, environment: dict[str, str], database: MigratedDatabase, kafka: Kafka) -> None:
        self._environment = environment
        self._database = database
        self.producer = kafka.producer()

    def running(self) -> AbstractAsyncContextManager[Process]:
        """Run the service; it must end by itself, in order, when it is told to."""
        return running_service("services.position_manager", self._environment)

    async def publish(self, event: Event) -> None:
        envelope = enclose(event, cause=Cause.none(), ordinal=0, now=event.occurred_at)
        await self.producer.send([(encode(envelope), None)])

    async def row(self, statement: str) -> dict[str, Any]:
        """Return the row, an empty one if there is none."""
        connection = await asyncpg.connect(self._database.url)
        try:
            found = await connection.fetchrow(statement)
            return {} if found is None else dict(found)
        finally:
            await connection.close()


@pytest.fixture
async def stack(
    kafka: KafkaForTests, migrated: MigratedDatabase, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Stack]:
    cluster = Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)
    await apply_topics(cluster)
    address = urlsplit(migrated.url)
    (tmp_path / "postgres-position_manager").write_text(PASSWORD)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"main": {"api_key": "key", "api_secret": "secret"}}))
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as exchange:
        environment = {
            "TRADER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRADER_TOPIC_PREFIX": topic_prefix,
            "TRADER_POSTGRES_ADDRESS": f"{address.hostname}:{address.port}{address.path}",
            "TRADER_SECRETS_DIR": str(tmp_path),
            "TRADER_EXCHANGE_REST_URL": str(exchange.make_url("/")),
            "TRADER_EXCHANGE_KEYS_FILE": str(keys),
        }
        stack = Stack(environment, migrated, cluster)
        yield stack
        await stack.producer.close()


def a_quote(bid: str) -> QuoteChanged:
    return QuoteChanged(
        occurred_at=datetime.now(UTC),
        symbol="BTC/USDT",
        update_id=int(datetime.now(UTC).timestamp() * 1_000),
        bid=Decimal(bid),
        bid_quantity=Decimal(1),
        ask=Decimal(bid) + 1,
        ask_quantity=Decimal(1),
    )


def a_candle(high: str) -> CandleClosed:
    now, price = datetime.now(UTC), Decimal(50_000)
    return CandleClosed(
        occurred_at=now,
        symbol="BTC/USDT",
        interval_s=300,
        open_at=now - timedelta(seconds=300),
        close_at=now,
        open=price,
        high=Decimal(high),
        low=price,
        close=price,
        volume=Decimal(1),
        trades=1,
    )


async def test_fills_and_quotes_become_positions_and_equity_and_a_restart_continues(stack: Stack):
    fill = a_fill(
        Side.BUY,
        "0.1",
        "50000",
        fee="0.0001",
        fee_asset="BTC",
        at=datetime.now(UTC),
        stop_loss=Decimal(49_000),
        trailing_distance=Decimal(1_000),
    )
    published = "SELECT 1 FROM position_manager.outbox WHERE topic = 'positions' AND published_at IS NOT NULL"
    moved = "SELECT 1 FROM position_manager.outbox WHERE topic = 'stops' AND published_at IS NOT NULL"
    marked = "SELECT * FROM reading.equity WHERE confirmed AND positions_open = 1"

    async def after_a_quote() -> dict[str, Any]:
        await stack.publish(a_quote("51000"))
        return await stack.row(marked)

    async with stack.running():
        opening = await eventually(lambda: stack.row("SELECT * FROM reading.equity"), what="the opening mark")
        await stack.publish(fill)
        await stack.publish(fill)
        equity = await eventually(after_a_quote, what="a confirmed mark")
        await eventually(lambda: stack.row(published), what="the position on its topic")
    await stack.publish(a_candle("50500"))  # nobody reads it now
    await stack.publish(a_fill(Side.SELL, "0.05", "51000", trade_id=2, at=datetime.now(UTC)))
    async with stack.running():
        await eventually(lambda: stack.row("SELECT 1 FROM reading.positions WHERE quantity = 0.0499"), what="the sale")
        await eventually(lambda: stack.row(moved), what="the stop on its topic")
        sold = await stack.row("SELECT * FROM reading.positions")

    assert opening["equity"] == Decimal(10_000)  # and not the 0.05 BTC that were there before
    assert equity["equity"] == Decimal("10094.9")  # 10 000 - 5 000 + 0.0999 x 51 000
    assert (sold["is_open"], sold["revision"]) == (True, 3)  # bought, sold in part, and the stop moved
    assert await stack.row("SELECT count(*) FROM reading.booked_fills") == {"count": 2}
    read = "SELECT string_agg(DISTINCT topic, ' ') AS topics FROM position_manager.consumer_offsets"
    assert await stack.row(read) == {"topics": "fills"}  # the ledger waits for no market data
