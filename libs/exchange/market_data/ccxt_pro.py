"""Market data through ccxt.pro: its connections, subscriptions and keep-alive, but not its parsing.

ccxt.pro's unified trades pass through floats, coalesce, and cost 48 us a frame against 5 for the frame alone (measured
at 4.5.90); so frames are taken where they are still text, and one subscription carries trades and quotes of all symbols
in the exchange's order. Callbacks of ccxt only append to a bounded buffer: an exception in one would end its receive
loop without a word.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import ccxt

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import DeadlineExceededError, RetryableError
from libs.common.observability import metrics
from libs.exchange.addresses import ExchangeAddress, ccxt_options, require_address
from libs.exchange.market_data import frames
from libs.exchange.market_data.intervals import BINANCE_INTERVALS, fold, served_interval_s
from libs.exchange.market_data.port import Kline, ServerTime, Tick
from libs.exchange.market_data.raw_binance import RawBinance

FRAMES_MAX: Final = 10_000
"""Six seconds of the busiest market measured; beyond it the oldest go, and their trades count as missed."""

SILENCE_S_MAX: Final = 10.0
CLOSE_DEADLINE_S: Final = 1.0
KLINES_MAX: Final = 1_000

WEIGHT_PER_MINUTE: Final = 6_000
WEIGHT_SHARE_MAX: Final = 0.5
"""Orders and their reconciliation share the address's budget and come first."""

_STREAMING: Final = {"keepAlive": 15_000, "connectionTimeout": 3_000}
"""ccxt's ping and dial deadline in milliseconds: a dial with its delay must end within `SILENCE_S_MAX`."""

_USED_WEIGHT_HEADER: Final = "x-mbx-used-weight-1m"
_RATE_LIMITED: Final = (418, 429)
_RATE_LIMITED_S: Final = 60.0
_SUBSCRIPTION: Final = "ticks"

AnswerT = TypeVar("AnswerT")
Frame = tuple[datetime, Mapping[str, Any]]


class CcxtMarketData:
    """`MarketData` of Binance, or of whoever answers at the address as Binance does."""

    def __init__(
        self, *, address: ExchangeAddress, symbols: Sequence[str], clock: Clock, deadline_s: float = 3.0
    ) -> None:
        self._symbols = {frames.market_id(symbol): symbol for symbol in symbols}
        self._clock = clock
        self._deadline_s = deadline_s
        self._frames: deque[Frame] = deque(maxlen=FRAMES_MAX)
        self._arrived = asyncio.Event()
        self._blocked_until_s = 0.0
        self._used_weight = 0
        self._exchange = RawBinance(
            ccxt_options(address) | {"timeout": round(deadline_s * 1000), "streaming": _STREAMING},
            on_frame=self._on_frame,
            on_headers=self._on_headers,
        )
        require_address(self._exchange.urls["api"], address)

    async def aclose(self) -> None:
        """Close every connection; a peer that does not answer is left after a second."""
        await _within(self._exchange.close(), CLOSE_DEADLINE_S)

    @property
    def used_weight(self) -> int:
        """The address-wide request weight of this minute, as the exchange last reported it."""
        return self._used_weight

    @property
    def may_ask(self) -> bool:
        """Whether the share of the address's budget that market data may use is not used up."""
        return self._used_weight < WEIGHT_SHARE_MAX * WEIGHT_PER_MINUTE

    async def ticks(self) -> AsyncGenerator[Sequence[Tick], None]:
        """Yield what arrives over one connection, in order, in batches as they come; the first says: subscribed.

        Raises:
            RetryableError: The connection ended or fell silent.
        """
        self._frames.clear()
        metrics.MARKET_CONNECTIONS.inc()
        connection = self._subscribe()
        connection.add_done_callback(self._on_ended)
        try:
            while True:
                await self._arrival()
                received = list(self._frames)
                self._frames.clear()
                if received:
                    yield self._read(received)
                if connection.done():
                    raise RetryableError(f"market stream: expected it to go on, found {_reason(connection)}")
        finally:
            await _within(self._exchange.close_ws_clients(), CLOSE_DEADLINE_S)

    async def klines(self, symbol: str, interval_s: int, first_open_at_ms: int, last_open_at_ms: int) -> list[Kline]:
        """Return the periods from the first to the last, oldest first; the exchange may know only some of them.

        Raises:
            RetryableError: No usable answer.
        """
        served_s = served_interval_s(interval_s)
        last_part_at_ms = last_open_at_ms + (interval_s - served_s) * 1000
        parts: list[Kline] = []
        next_at_ms = first_open_at_ms
        while next_at_ms <= last_part_at_ms:
            request = {
                "symbol": frames.market_id(symbol),
                "interval": BINANCE_INTERVALS[served_s],
                "startTime": next_at_ms,
                "endTime": last_part_at_ms,
                "limit": KLINES_MAX,
            }
            page = await self._ask("klines", self._exchange.public_get_klines, request, frames.read_klines)
            parts += page
            if len(page) < KLINES_MAX:
                break
            next_at_ms = page[-1].open_at_ms + served_s * 1000
        return fold(parts, interval_s)

    async def server_time(self) -> ServerTime:
        """Read the exchange's clock, which also proves that it answers.

        Raises:
            RetryableError: No usable answer.
        """
        asked_at_ms = epoch_ms(self._clock.now())
        server_ms = await self._ask("time", self._exchange.public_get_time, {}, frames.read_server_time)
        return ServerTime(server_ms=server_ms, asked_at_ms=asked_at_ms, answered_at_ms=epoch_ms(self._clock.now()))

    async def symbols_trading(self) -> Mapping[str, bool]:
        """Return for every symbol whether the exchange lets it trade now.

        Raises:
            RetryableError: No usable answer.
        """
        request = {"symbols": json.dumps(list(self._symbols), separators=(",", ":"))}
        read = partial(frames.read_symbols_trading, symbols=self._symbols)
        return await self._ask("exchangeInfo", self._exchange.public_get_exchangeinfo, request, read)

    def _subscribe(self) -> "asyncio.Future[Any]":
        """Return ccxt's future of the subscription, which ends only when the connection does."""
        url = self._exchange.urls["api"]["ws"]["spot"] + "/0"
        request_id = self._exchange.request_id(url)
        streams = [f"{name.lower()}@{kind}" for name in self._symbols for kind in ("trade", "bookTicker")]
        request = {"method": "SUBSCRIBE", "params": streams, "id": request_id}
        hashes = [_SUBSCRIPTION]
        future: asyncio.Future[Any] = self._exchange.watch_multiple(url, hashes, request, hashes, {"id": request_id})
        return future

    async def _arrival(self) -> None:
        try:
            async with asyncio.timeout(SILENCE_S_MAX):
                await self._arrived.wait()
        except TimeoutError as error:
            raise RetryableError(f"market stream: expected a frame within {SILENCE_S_MAX:g} s, found none") from error
        self._arrived.clear()

    def _read(self, received: Sequence[Frame]) -> list[Tick]:
        ticks = []
        for received_at, message in received:
            try:
                tick = frames.read_tick(message, self._symbols, received_at)
            except frames.InvalidFrameError as error:
                metrics.MARKET_FRAMES_REFUSED.labels(reason=error.reason).inc()
                continue
            if tick is not None:
                ticks.append(tick)
        return ticks

    def _on_frame(self, message: Mapping[str, Any] | None) -> None:
        if message is None:
            metrics.MARKET_FRAMES_REFUSED.labels(reason="json").inc()
            return
        if len(self._frames) == FRAMES_MAX:
            metrics.MARKET_FRAMES_DROPPED.inc()
        self._frames.append((self._clock.now(), message))
        self._arrived.set()

    def _on_ended(self, connection: "asyncio.Future[Any]") -> None:
        _reason(connection)  # asyncio complains of an exception that nobody looked at
        self._arrived.set()

    def _on_headers(self, status: int, headers: Mapping[str, str]) -> None:
        fields = {name.lower(): value for name, value in headers.items()}
        weight = fields.get(_USED_WEIGHT_HEADER, "")
        if weight.isdecimal():
            self._used_weight = int(weight)
            metrics.EXCHANGE_USED_WEIGHT.set(self._used_weight)
        if status in _RATE_LIMITED:
            named = fields.get("retry-after", "")
            retry_in_s = float(named) if named.isdecimal() else _RATE_LIMITED_S
            self._blocked_until_s = self._clock.monotonic_s() + retry_in_s

    async def _ask(
        self,
        what: str,
        method: Callable[[Mapping[str, Any]], Awaitable[object]],
        request: Mapping[str, Any],
        read: Callable[[object], AnswerT],
    ) -> AnswerT:
        blocked_s = self._blocked_until_s - self._clock.monotonic_s()
        if blocked_s > 0:
            raise RetryableError(f"{what}: the exchange asked us to wait {blocked_s:.0f} s", retry_in_s=blocked_s)
        try:
            async with asyncio.timeout(self._deadline_s):
                return read(await method(request))
        except TimeoutError as error:
            raise DeadlineExceededError(what, deadline_s=self._deadline_s) from error
        except ccxt.BaseError as error:
            raise RetryableError(f"{what}: expected an answer, found {type(error).__name__}: {error}"[:500]) from error
        except frames.InvalidFrameError as error:
            metrics.MARKET_FRAMES_REFUSED.labels(reason=error.reason).inc()
            raise RetryableError(f"{what}: expected Binance's answer, found something else ({error.reason})") from error


def _reason(connection: "asyncio.Future[Any]") -> str:
    error = None if connection.cancelled() else connection.exception()
    return "the connection closed" if error is None else f"{type(error).__name__}: {error}"[:300]


async def _within(closing: Awaitable[Any], deadline_s: float) -> None:
    """Wait for a closing handshake, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(deadline_s):
            await closing
