"""Market data through ccxt.pro: its connections, subscriptions and keep-alive, but not its parsing.

ccxt.pro's unified trades pass through floats, coalesce, and cost 48 us a frame against 5 for the frame alone (measured
at 4.5.90); so frames are taken where they are still text, and one subscription carries trades and quotes of all symbols
in the exchange's order. Callbacks of ccxt only append to a bounded buffer: an exception in one would end its receive
loop without a word.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from random import Random
from typing import Any, Final

import structlog

from libs.common.clock import Clock
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from libs.exchange.addresses import ExchangeAddress, ccxt_options, require_address
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.market_data import frames
from libs.exchange.market_data.port import Kline, PublicTrade, ServerTime, Tick
from libs.exchange.market_data.questions import Questions
from libs.exchange.market_data.raw_binance import RawBinance

FRAMES_MAX: Final = 10_000
"""Six seconds of the busiest market measured; beyond it the oldest go, and their trades count as missed."""

SILENCE_S_MAX: Final = 10.0
CATCH_UP_S_MAX: Final = 5.0
"""However many symbols there are, live trades wait no longer for what was missed before them."""

LIFETIME_S: Final = 23 * 3_600.0
"""Binance ends a connection after 24 hours; it is left before, and not by all at the same moment."""

CLOSE_DEADLINE_S: Final = 1.0

_STREAMING: Final = {"keepAlive": 15_000, "connectionTimeout": 3_000}
"""ccxt's ping and dial deadline in milliseconds: a dial with its delay must end within `SILENCE_S_MAX`."""

_SUBSCRIPTION: Final = "ticks"
_LOG: Final = structlog.get_logger()

Frame = tuple[datetime, Mapping[str, Any]]


class CcxtMarketData:
    """`MarketData` of Binance, or of whoever answers at the address as Binance does."""

    def __init__(
        self,
        *,
        address: ExchangeAddress,
        symbols: Sequence[str],
        clock: Clock,
        randomness: Random,
        deadline_s: float = 3.0,
    ) -> None:
        self._symbols = {frames.market_id(symbol): symbol for symbol in symbols}
        self._clock = clock
        self._randomness = randomness
        self._frames: deque[Frame] = deque(maxlen=FRAMES_MAX)
        self._arrived = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._last_ids: dict[str, int] = {}
        self._budget = AddressBudget(clock)
        self._exchange = RawBinance(
            ccxt_options(address) | {"timeout": round(deadline_s * 1000), "streaming": _STREAMING},
            on_frame=self._on_frame,
            on_reply=self._budget.observe,
        )
        require_address(self._exchange.urls["api"], address)
        self._questions = Questions(
            exchange=self._exchange, symbols=self._symbols, budget=self._budget, clock=clock, deadline_s=deadline_s
        )

    async def aclose(self) -> None:
        """Close every connection; a peer that does not answer is left after a second."""
        await _within(self._exchange.close(), CLOSE_DEADLINE_S)

    @property
    def used_weight(self) -> int:
        """The address-wide request weight of this minute, as the exchange last reported it."""
        return self._budget.used_weight

    @property
    def may_ask(self) -> bool:
        """Whether the share of the address's budget that market data may use is not used up."""
        return self._budget.wait_s(Purpose.MARKET_DATA) == 0

    async def ticks(self) -> AsyncGenerator[Sequence[Tick], None]:
        """Yield what arrives over one connection, in order, in batches as they come; the first says: subscribed.

        The first batch holds the trades since the last connection, as far as the exchange still tells them, each once.

        Raises:
            RetryableError: The connection ended, fell silent, was not acknowledged, or grew old.
        """
        self._frames.clear()
        self._acknowledged.clear()
        metrics.MARKET_CONNECTIONS.inc()
        leave_at_s = self._clock.monotonic_s() + LIFETIME_S * self._randomness.uniform(0.95, 1.0)
        connection = self._subscribe()
        connection.add_done_callback(self._on_ended)
        try:
            while not self._acknowledged.is_set():
                await self._arrival("the subscription's acknowledgement")
                _require(connection)
            missed = await self._missed()
            yield missed
            caught_up = {trade.symbol: trade.trade_id for trade in missed}
            while True:
                received = list(self._frames)
                self._frames.clear()
                if received:
                    yield self._read(received, after=caught_up)
                _require(connection)
                if self._clock.monotonic_s() > leave_at_s:
                    raise RetryableError(
                        "market stream: left before the exchange ends it, which it does after 24 hours"
                    )
                if not self._frames:
                    await self._arrival("a frame")
        finally:
            await _within(self._exchange.close_ws_clients(), CLOSE_DEADLINE_S)

    async def klines(self, symbol: str, interval_s: int, first_open_at_ms: int, last_open_at_ms: int) -> list[Kline]:
        """Return the periods from the first to the last, oldest first; the exchange may know only some of them.

        Raises:
            RetryableError: No usable answer.
        """
        return await self._questions.klines(symbol, interval_s, first_open_at_ms, last_open_at_ms)

    async def server_time(self) -> ServerTime:
        """Read the exchange's clock, which also proves that it answers.

        Raises:
            RetryableError: No usable answer.
        """
        return await self._questions.server_time()

    async def symbols_trading(self) -> Mapping[str, bool]:
        """Return for every symbol whether the exchange lets it trade now.

        Raises:
            RetryableError: No usable answer.
        """
        return await self._questions.symbols_trading()

    def _subscribe(self) -> "asyncio.Future[Any]":
        """Return ccxt's future of the subscription, which ends only when the connection does."""
        url = self._exchange.urls["api"]["ws"]["spot"] + "/0"
        request_id = self._exchange.request_id(url)
        streams = [f"{name.lower()}@{kind}" for name in self._symbols for kind in ("trade", "bookTicker")]
        request = {"method": "SUBSCRIBE", "params": streams, "id": request_id}
        hashes = [_SUBSCRIPTION]
        future: asyncio.Future[Any] = self._exchange.watch_multiple(url, hashes, request, hashes, {"id": request_id})
        return future

    async def _arrival(self, what: str) -> None:
        try:
            async with asyncio.timeout(SILENCE_S_MAX):
                await self._arrived.wait()
        except TimeoutError as error:
            raise RetryableError(f"market stream: expected {what} within {SILENCE_S_MAX:g} s, found none") from error
        self._arrived.clear()

    async def _missed(self) -> list[PublicTrade]:
        """Return what was traded between the last connection's last trade and this connection's start.

        What cannot be read in time stays missed: it is counted, and its candles are read as a whole.
        """
        missed: list[PublicTrade] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S_MAX):
                for symbol, last_id in list(self._last_ids.items()):
                    try:
                        missed += await self._questions.trades_after(symbol, last_id)
                    except RetryableError as error:
                        _LOG.info("Missed trades could not be read", symbol=symbol, error=str(error))
        self._note(missed)
        metrics.MARKET_TRADES_BACKFILLED.inc(len(missed))
        return missed

    def _read(self, received: Sequence[Frame], *, after: Mapping[str, int]) -> list[Tick]:
        ticks = []
        for received_at, message in received:
            try:
                tick = frames.read_tick(message, self._symbols, received_at)
            except frames.InvalidFrameError as error:
                metrics.MARKET_FRAMES_REFUSED.labels(reason=error.reason).inc()
                continue
            if tick is None or (isinstance(tick, PublicTrade) and tick.trade_id <= after.get(tick.symbol, -1)):
                continue
            ticks.append(tick)
        self._note(ticks)
        return ticks

    def _note(self, ticks: Sequence[Tick]) -> None:
        for tick in ticks:
            if isinstance(tick, PublicTrade):
                self._last_ids[tick.symbol] = tick.trade_id

    def _on_frame(self, message: Mapping[str, Any] | None) -> None:
        if message is None:
            metrics.MARKET_FRAMES_REFUSED.labels(reason="json").inc()
            return
        if "result" in message and "id" in message:
            self._acknowledged.set()
        else:
            if len(self._frames) == FRAMES_MAX:
                metrics.MARKET_FRAMES_DROPPED.inc()
            self._frames.append((self._clock.now(), message))
        self._arrived.set()

    def _on_ended(self, connection: "asyncio.Future[Any]") -> None:
        _reason(connection)  # asyncio complains of an exception that nobody looked at
        self._arrived.set()


def _require(connection: "asyncio.Future[Any]") -> None:
    if connection.done():
        raise RetryableError(f"market stream: expected it to go on, found {_reason(connection)}")


def _reason(connection: "asyncio.Future[Any]") -> str:
    error = None if connection.cancelled() else connection.exception()
    return "the connection closed" if error is None else f"{type(error).__name__}: {error}"[:300]


async def _within(closing: Awaitable[Any], deadline_s: float) -> None:
    """Wait for a closing handshake, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(deadline_s):
            await closing
