"""Entries through the whole pipeline and echoes of the same hops, alternating one by one in one stack."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Bounded, Budget, Figure, Measurement, quantile, spread
from benchmarks.pipeline.answers import SENT, Answers
from benchmarks.pipeline.echo import TOPIC_PREFIX
from benchmarks.pipeline.echoing import Echoes
from benchmarks.pipeline.market import WARM_UP_CANDLES, PlayedMarket, read_books
from benchmarks.stacks import BenchmarkError, Extras, RunningStack, load, say, with_stack
from libs.common.clock import SystemClock
from libs.common.configuration import load_configuration
from libs.common.contracts.vocabulary import Role
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.storage import keys
from libs.common.storage.postgres import Database
from libs.common.storage.redis import RedisStore

CONFIGURATION: Final = Path(__file__).with_name("configuration.json")
PLAYED: Final = frozenset({"market_monitor", "watchdog"})
"""The bench plays the market monitor; the watchdog would only raise alarms over its absence."""

WARM_UP_ROUNDS: Final = 20
ATTEMPTS_PER_ENTRY: Final = 1.2
"""Some entries may be refused (a permit lapsed, the machine was slow); many of them are a failure."""

SETTLE_S: Final = 0.1
"""Quiet before each measurement, so that none of the two pays for what the other left to do."""

ROUND_S_MIN: Final = 0.55
"""Two symbols take turns, and a second entry of one within a second counts as a repetition."""

PERMIT_S_MAX: Final = 60.0
AUDIT_S: Final = 2.0
PROGRESS_ROUNDS: Final = 100

P50: Final = Budget(Bounded.RATIO, 2.0)
P99: Final = Budget(Bounded.RATIO, 1.8)

ECHO_STEPS: Final = ("generator reads", "manager reads", "executor reads", "request")
STEPS: Final = ("signal", "decision", "intent", "request")

_ENTRIES: Final = """
    SELECT orders.origin_at, signal.recorded_at AS signal, decision.decided_at AS decision,
           intents.created_at AS intent, orders.requested_at AS request
    FROM orders
    JOIN intents USING (intent_id)
    LEFT JOIN risk_decisions AS decision ON decision.intent_id = orders.intent_id
    LEFT JOIN LATERAL (
        SELECT recorded_at FROM audit
        WHERE audit.correlation_id = orders.correlation_id AND topic = 'signals'
          AND topic NOT IN ('heartbeats', 'logs', 'market.status', 'account.equity')
        ORDER BY recorded_at LIMIT 1
    ) AS signal ON true
    WHERE orders.role = 'ENTRY' AND orders.origin_at >= $1 AND orders.requested_at IS NOT NULL
    ORDER BY orders.origin_at
"""


async def measure(*, count: int) -> Measurement:
    """Return how much longer an entry takes from tick to request than an echo does.

    Args:
        count: Entries, and as many echoes.

    Raises:
        EmbeddedError: The stack does not start.
        BenchmarkError: Too many entries were refused, or an echo was lost.
    """
    echoes = Echoes()
    async with echoes.serving():
        return await with_stack(
            load_configuration([CONFIGURATION]),
            lambda running: _Bench(running, echoes, count).measure(),
            extras=Extras(without=PLAYED, services=echoes.services, jobs=echoes.jobs),
        )


class _Bench:
    """One run."""

    def __init__(self, running: RunningStack, echoes: Echoes, count: int) -> None:
        self._running = running
        self._echoes = echoes
        self._count = count
        self._attempts = round(count * ATTEMPTS_PER_ENTRY) + WARM_UP_ROUNDS
        self._clock = SystemClock()
        addresses = running.stack.addresses
        self._kafka = Kafka(addresses.kafka, client_id="bench")
        self._publisher = Publisher(self._kafka, clock=self._clock)
        self._echo_publisher = Publisher(
            Kafka(addresses.kafka, client_id="bench", topic_prefix=TOPIC_PREFIX), clock=self._clock
        )
        self._answers = Answers(self._kafka, publisher=self._publisher, clock=self._clock)
        self._redis = RedisStore.connect(addresses.redis, name="bench")
        self._refusals: Counter[str] = Counter()
        self._echoed: list[list[float]] = []

    async def measure(self) -> Measurement:
        composition = self._running.composition
        symbols = composition.configuration.symbols
        market = PlayedMarket(
            books=await read_books(composition.exchange_rest, symbols),
            publisher=self._publisher,
            prices=self._redis,
            clock=self._clock,
            candles_max=WARM_UP_CANDLES + 2 * (self._attempts // len(symbols) + 1),
        )
        work = (self._publisher.run(), self._echo_publisher.run(), self._answers.reader.run(), market.run())
        tasks = [asyncio.ensure_future(each) for each in work]
        rounds = asyncio.ensure_future(self._rounds(market, symbols))
        try:
            await asyncio.wait({rounds, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in (*tasks, rounds):
                if task.done():
                    task.result()
            since = rounds.result()
        finally:
            for task in (rounds, *tasks):
                task.cancel()
            await asyncio.wait({rounds, *tasks}, timeout=AUDIT_S)
            await self._redis.close()
        return self._result(await self._entries(since))

    async def _rounds(self, market: PlayedMarket, symbols: Sequence[str]) -> datetime:
        """Alternate entries and echoes; return when the first one that counts began."""
        await self._until_permitted()
        market.warm_up()
        for number in range(WARM_UP_ROUNDS):
            await self._round(market, symbols[number % len(symbols)])
        say(f"  warm; refused meanwhile: {dict(self._refusals)}")
        self._refusals.clear()
        self._echoed.clear()
        since, sent = self._clock.now(), 0
        for attempt in range(self._attempts - WARM_UP_ROUNDS):
            sent += await self._round(market, symbols[attempt % len(symbols)])
            if attempt % PROGRESS_ROUNDS == PROGRESS_ROUNDS - 1:
                say(f"  {sent} entries, {len(self._echoed)} echoes, refused {dict(self._refusals)} (load {load()})")
            if sent == self._count:
                return since
        raise BenchmarkError(f"expected {self._count} entries, found {sent}; refused: {dict(self._refusals)}")

    async def _round(self, market: PlayedMarket, symbol: str) -> bool:
        """Give a signal to enter and one to leave, then echo; return whether an entry was sent."""
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + ROUND_S_MIN
        entry = market.candle(symbol, rises=True)
        self._publisher.publish(entry, origin_at=self._clock.now())
        refusal = await self._answers.to(symbol, Role.ENTRY)
        await asyncio.sleep(SETTLE_S)
        self._publisher.publish(market.candle(symbol, rises=False), origin_at=self._clock.now())
        await self._answers.to(symbol, Role.EXIT)
        await asyncio.sleep(SETTLE_S)
        echoed = await self._echoes.once(entry, publisher=self._echo_publisher, clock=self._clock)
        if echoed is None:
            raise BenchmarkError("expected the echo's request, found none")
        if refusal == SENT:
            self._echoed.append(echoed)
        else:
            self._refusals[refusal] += 1
        await asyncio.sleep(max(SETTLE_S, ends_at_s - loop.time()))
        return refusal == SENT

    async def _until_permitted(self) -> None:
        """Wait until the risk manager lets the executor enter: marks, state and market are known then."""
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + PERMIT_S_MAX
        while not await self._redis.client.exists(keys.permit("main")):
            if loop.time() > ends_at_s:
                raise BenchmarkError(f"expected a permit within {PERMIT_S_MAX:g} s, found none")
            await asyncio.sleep(SETTLE_S)

    async def _entries(self, since: datetime) -> Sequence[Mapping[str, Any]]:
        await asyncio.sleep(AUDIT_S)  # the audit recorder follows within a second
        dsn = self._running.composition.endpoints()["postgres"]
        database = await Database.connect(dsn, application="bench", connections_max=1)
        try:
            async with database.connection() as connection:
                return [dict(row) for row in await connection.fetch(_ENTRIES, since)]
        finally:
            await database.close()

    def _result(self, entries: Sequence[Mapping[str, Any]]) -> Measurement:
        took = [_milliseconds(row, "request") for row in entries]
        echoed = [moments[-1] for moments in self._echoed]
        figures = tuple(
            Figure(
                name=f"tick to request, {name}",
                unit="ms",
                value=quantile(took, share),
                baseline=quantile(echoed, share),
                baseline_name="echo",
                budget=budget,
                samples=len(took),
                load=load(),
            )
            for name, share, budget in (("p50", 0.50, P50), ("p99", 0.99, P99))
        )
        return Measurement(
            figures=figures,
            details={
                "pipeline_ms": {
                    step: spread([_milliseconds(row, step) for row in entries if row[step] is not None])
                    for step in STEPS
                },
                "echo_ms": {
                    step: spread([moments[place] for moments in self._echoed]) for place, step in enumerate(ECHO_STEPS)
                },
                "refused": dict(self._refusals),
            },
        )


def _milliseconds(row: Mapping[str, Any], step: str) -> float:
    return float((row[step] - row["origin_at"]).total_seconds() * 1_000)
