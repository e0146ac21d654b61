"""Halts of a stack that enters whenever it is let, the ways of `trader halt`: with everything up, and by file alone.

Each comes between two entries, one asked for shortly before it and one shortly after it, at distances that differ from
halt to halt: what a slow halt lets through is found wherever it lies.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

from redis.exceptions import RedisError

from benchmarks.figures import Measurement
from benchmarks.halt.entrant import Entrant
from benchmarks.halt.exchange import accepted_entries, delay_orders
from benchmarks.halt.halts import Halt, measurement
from benchmarks.halt.operator import ACCOUNT, Operator, attempts
from benchmarks.pipeline.answers import SENT, Answers
from benchmarks.pipeline.market import WARM_UP_CANDLES, PlayedMarket, read_books
from benchmarks.pipeline.measuring import CONFIGURATION, PLAYED
from benchmarks.stacks import BenchmarkError, Extras, RunningStack, load, say, with_stack
from cli.stack.exchange import ADMIN_PORT
from libs.common.clock import SystemClock
from libs.common.configuration import load_configuration
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.storage.redis import RedisStore

T = TypeVar("T")

FROZEN_HALTS: Final = 5
FROZEN_SHARE: Final = 10
FROZEN_S: Final = 2.0
"""Longer than the budget, shorter than the patience of those who wait for the stores."""

LEAD_S: Final = 0.06
"""The first entry of each halt is asked for up to so long before it: one that is on its way."""

LAG_S: Final = 0.3
"""The second one is asked for up to so long after it: a halt that takes longer than its budget lets it through."""

STRIDE: Final = 7
"""Leads rise from halt to halt and lags go round, so that each meets others."""

SETTLE_S: Final = 0.1
"""Between an entry and the signal to leave, so that its order has come to its end."""

REPETITION_S: Final = 1.05
"""A second entry of a symbol within a second counts as a repetition."""

CANDLES_MAX: Final = 3_000
"""The played candles end at the present at the latest, and a signal is fresh for an hour."""

ANSWER_S_MAX: Final = 1.0
END_S_MAX: Final = 2.0
PROGRESS_HALTS: Final = 5


async def measure(*, count: int, delay_ms_max: int = 0) -> Measurement:
    """Return how long after a halt the last entry is sent, and accepted.

    Args:
        count: Halts with everything up; those with the stores frozen are `FROZEN_HALTS`, or a tenth if that is more.
        delay_ms_max: How much later orders reach the exchange at most, each by chance; 0: as they are.

    Raises:
        EmbeddedError: The stack does not start.
        BenchmarkError: It does not enter, or does not resume.
    """
    if delay_ms_max:
        os.environ.setdefault(ADMIN_PORT, "0")  # what the exchange's own process is started with
    return await with_stack(
        load_configuration([CONFIGURATION]),
        lambda running: _Bench(running, delay_ms_max=delay_ms_max).measure(count),
        extras=Extras(without=PLAYED),
    )


class _Bench:
    """One run."""

    def __init__(self, running: RunningStack, *, delay_ms_max: int) -> None:
        self._composition = running.composition
        self._delay_ms_max = delay_ms_max
        self._clock = SystemClock()
        kafka = Kafka(running.stack.addresses.kafka, client_id="bench")
        self._publisher = Publisher(kafka, clock=self._clock)
        self._answers = Answers(kafka, publisher=self._publisher, clock=self._clock)
        self._redis = RedisStore.connect(running.stack.addresses.redis, name="bench")
        self._operator = Operator(running, self._redis)

    async def measure(self, count: int) -> Measurement:
        symbols = self._composition.configuration.symbols
        market = PlayedMarket(
            books=await read_books(self._composition.exchange_rest, symbols),
            publisher=self._publisher,
            prices=self._redis,
            clock=self._clock,
            candles_max=WARM_UP_CANDLES + CANDLES_MAX,
        )
        work = [self._publisher.run(), self._answers.reader.run(), _kept_known(market)]
        tasks = [asyncio.ensure_future(each) for each in work]
        halts = asyncio.ensure_future(self._halts(market, symbols, count))
        try:
            await asyncio.wait({halts, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in (*tasks, halts):
                if task.done():
                    task.result()
            connected, disconnected = halts.result()
            accepted = await accepted_entries(
                self._composition.exchange_rest,
                self._composition.endpoints()["exchange_accounts"][ACCOUNT],
                symbols,
                clock=self._clock,
            )
            return measurement(connected, disconnected, await self._operator.requests(), accepted)
        finally:
            for task in (halts, *tasks):
                task.cancel()
            await asyncio.wait({halts, *tasks}, timeout=END_S_MAX)
            await self._redis.close()

    async def _halts(
        self, market: PlayedMarket, symbols: Sequence[str], count: int
    ) -> tuple[Sequence[Halt], Sequence[Halt]]:
        """Halt and resume, with everything up and with the stores frozen."""
        await self._operator.until_permitted()
        if self._delay_ms_max:
            await delay_orders(self._composition.exchange_dir, delay_ms_max=self._delay_ms_max)
        market.warm_up()
        first, second = (
            Entrant(symbol, market=market, publisher=self._publisher, answers=self._answers, clock=self._clock)
            for symbol in symbols
        )
        connected, disconnected = [], []
        for number in range(count):
            lead_s, lag_s = LEAD_S * number / count, LAG_S * (number * STRIDE % count) / count
            connected.append(await self._halt(first, second, lead_s=lead_s, lag_s=lag_s))
            if number % PROGRESS_HALTS == PROGRESS_HALTS - 1:
                say(f"  {number + 1} halts (load {load()})")
        frozen_count = max(FROZEN_HALTS, count // FROZEN_SHARE)
        for number in range(frozen_count):
            lead_s = LEAD_S * (number + 1) / frozen_count
            disconnected.append(await self._halt(first, second, lead_s=lead_s, lag_s=-lead_s / 2, frozen=True))
        say(f"  {frozen_count} halts with Kafka and Redis frozen (load {load()})")
        return connected, disconnected

    async def _halt(
        self, first: Entrant, second: Entrant, *, lead_s: float, lag_s: float, frozen: bool = False
    ) -> Halt:
        """Halt between two entries.

        Args:
            first: Enters `lead_s` before the halt.
            second: Enters `lag_s` after it.
            lead_s: See `first`.
            lag_s: See `second`.
            frozen: Whether Kafka and Redis are frozen when it is issued.
        """
        for entrant in (first, second):
            await _until_entered(entrant)
        await asyncio.sleep(REPETITION_S)
        entries = [
            asyncio.create_task(first.enter()),
            asyncio.create_task(_later(lead_s + lag_s, second.enter)),
        ]
        await asyncio.sleep(lead_s)
        async with self._operator.frozen_stores() if frozen else _as_they_are():
            reason = f"benchmark, {lead_s:.3f} s after one entry, {lag_s:.3f} s before another"
            halting = asyncio.ensure_future(self._operator.halt(reason))
            await asyncio.wait({halting}, timeout=FROZEN_S if frozen else None)
        outcome = await halting
        if frozen and tuple(outcome.paths) != ("file",):
            raise BenchmarkError(f"expected the file to be the only way, found {', '.join(outcome.paths)}")
        await asyncio.wait(entries, timeout=ANSWER_S_MAX)
        for entry in entries:
            entry.cancel()  # a generator that heard of the halt gives no signal that could be answered
        ended_at = self._clock.now()
        for entrant in (first, second):
            entrant.turn()
        await self._operator.resume()
        return Halt(outcome.command.occurred_at, ended_at, None if outcome.missing else outcome.acknowledged_ms)


async def _until_entered(entrant: Entrant) -> None:
    """Enter until an entry is sent, which proves that nothing but a halt could keep the next one back."""
    answers: Counter[str] = Counter()
    async for _ in attempts(f"an entry in {entrant.symbol}", lambda: dict(answers)):
        answer = await entrant.enter()
        await asyncio.sleep(SETTLE_S)
        await entrant.leave()
        answers[answer] += 1
        if answer == SENT:
            return
        await asyncio.sleep(REPETITION_S)


async def _later(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    await asyncio.sleep(seconds)
    return await work()


@asynccontextmanager
async def _as_they_are() -> AsyncIterator[None]:
    yield


async def _kept_known(market: PlayedMarket) -> None:
    """Keep the market known also after Redis could not be told."""
    while True:
        with suppress(RedisError, OSError):
            await market.run()
