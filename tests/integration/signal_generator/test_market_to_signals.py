"""From the exchange to decisions: market monitor and signal generator as processes, over real stores."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from libs.common.clock import SystemClock
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import CandleClosed, MarketStatusChanged, QuoteChanged, SignalHeld, TradePrinted
from libs.common.contracts.topics import TopicName
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.reader import TopicReader
from libs.common.storage import keys
from tests.support.eventually import eventually
from tests.support.stores import KafkaForTests

CONFIGURATION = {
    "engine": {"trading_interval": 1},
    "symbols": ["BTC/USDT", "ETH/USDT"],
    "strategy": {"parameters": {"ema_fast": 3, "ema_slow": 8}, "stops": "atr"},
}
OBSERVED = (TradePrinted, QuoteChanged, CandleClosed, MarketStatusChanged, SignalHeld)


class Observer:
    """What stands on the topics."""

    def __init__(self, kafka: Kafka) -> None:
        self.events: dict[type[Event], list[Envelope[Event]]] = {kind: [] for kind in OBSERVED}
        clock = SystemClock()
        self._reader = TopicReader(
            kafka,
            component="test",
            publisher=Publisher(kafka, clock=clock),
            topics=[TopicName.MARKET_TICKS, TopicName.MARKET_CANDLES, TopicName.MARKET_STATUS, TopicName.SIGNALS],
            observers=dict.fromkeys(OBSERVED, self._observe),
            clock=clock,
            start="beginning",
        )

    async def _observe(self, envelope: Envelope[Event]) -> None:
        self.events[type(envelope.event)].append(envelope)

    async def run(self) -> None:
        await self._reader.run()

    def candles(self, *, backfilled: bool) -> list[CandleClosed]:
        candles = [envelope.event for envelope in self.events[CandleClosed]]
        return [
            candle
            for candle in candles
            if isinstance(candle, CandleClosed)
            and candle.interval_s == 1
            and not candle.partial
            and candle.backfilled is backfilled
        ]


@contextmanager
def process(module: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", module], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    ) as started:
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(timeout=15)


@pytest.fixture
async def observer(kafka: KafkaForTests, topic_prefix: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Observer]:
    """Paper exchange, market monitor and signal generator at work, and an observer of their topics."""
    cluster = Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)
    await apply_topics(cluster)
    configuration_file = tmp_path / "configuration.json"
    configuration_file.write_text(json.dumps(CONFIGURATION))
    redis = urlsplit(redis_url)
    (tmp_path / "redis").write_text(redis.password or "none")
    with ExitStack() as processes:
        exchange = processes.enter_context(
            process("services.paper_exchange", {"PAPER_EXCHANGE_DATA_DIR": str(tmp_path / "exchange")})
        )
        assert exchange.stdout is not None
        assert "ready" in await asyncio.to_thread(exchange.stdout.readline)
        facts = json.loads((tmp_path / "exchange" / "exchange.json").read_text())
        environment = {
            "TRADER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRADER_TOPIC_PREFIX": topic_prefix,
            "TRADER_REDIS_ADDRESS": f"{redis.hostname}:{redis.port}{redis.path}",
            "TRADER_SECRETS_DIR": str(tmp_path),
            "TRADER_CONFIG_FILES": json.dumps([str(configuration_file)]),
            "TRADER_EXCHANGE_REST_URL": facts["exchange_rest"],
            "TRADER_EXCHANGE_WS_URL": facts["exchange_ws"],
        }
        processes.enter_context(process("services.signal_generator", environment))
        processes.enter_context(process("services.market_monitor", environment))
        observer = Observer(cluster)
        observing = asyncio.create_task(observer.run())
        yield observer
        observing.cancel()
        await asyncio.wait({observing})


async def test_the_market_flows_from_the_exchange_into_decisions(observer: Observer, redis_url: str) -> None:
    async def is_trading_time() -> bool:
        statuses = [envelope.event for envelope in observer.events[MarketStatusChanged]]
        return (
            len(observer.candles(backfilled=False)) >= 10
            and bool(observer.events[SignalHeld])
            and any(isinstance(status, MarketStatusChanged) and status.reachable and status.calm for status in statuses)
        )

    await eventually(is_trading_time, seconds=60, what="ten streamed candles, a decision, and a market that is calm")

    assert len(observer.candles(backfilled=True)) >= 2_000  # the declared history of both symbols
    assert observer.events[TradePrinted]
    assert observer.events[QuoteChanged]
    for envelope in observer.events[SignalHeld]:
        assert envelope.causation_id is not None
        assert envelope.origin_at is not None
    holds = [envelope.event for envelope in observer.events[SignalHeld]]
    reasons = {reason for hold in holds if isinstance(hold, SignalHeld) for reason in hold.reasons}
    assert "warming_up" not in reasons  # the history was enough
    client = Redis.from_url(redis_url, decode_responses=True)
    try:
        assert json.loads(await client.get(keys.latest_price("BTC/USDT")) or "{}")["last"]
        assert 0 < await client.pttl(keys.latest_price("BTC/USDT")) <= 60_000
    finally:
        await client.aclose()
