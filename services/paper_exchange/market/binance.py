"""Binance's public market data as it happens: trades and best quotes. No key is needed.

Invariant: a trade is taken once, in the order of the feed's ids; what a connection missed is asked for before the next
one goes on.

A connection that is silent, broken or has lost a trade is given up, and another one tried after a pause that doubles
up to `PAUSE_S_MAX`. Until then trading is suspended (`services/paper_exchange/market/live.py`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import InvalidOperation
from random import Random
from typing import Any, Final

import aiohttp

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import RetryableError
from services.paper_exchange.market.binance_rest import (
    BinanceRest,
    LostError,
    lots_of,
    quote_of,
    text_of_error,
    ticks_of,
)
from services.paper_exchange.market.live import LiveMarket
from services.paper_exchange.market.live_track import LiveTrack
from services.paper_exchange.market.reel import Print
from services.paper_exchange.venue.rules import LISTED

PAUSE_S_MIN: Final = 0.5
PAUSE_S_MAX: Final = 30.0
CALM_S: Final = 60.0
"""A connection that lived this long was a good one: the next pause is the first again."""
_DEADLINE_S: Final = 10.0
_HEARTBEAT_S: Final = 20.0
_FRAME_BYTES_MAX: Final = 65_536

Tell = Callable[[str], None]
Socket = aiohttp.ClientWebSocketResponse


@dataclass(frozen=True, slots=True)
class Source:
    """Where the market is.

    Attributes:
        rest: Base address of the REST API.
        ws: Base address of the streams.
        silence_s_max: A symbol of which nothing arrived for longer is silent.
    """

    rest: str
    ws: str
    silence_s_max: float


@asynccontextmanager
async def live_market(
    source: Source, symbols: Sequence[str], *, clock: Clock, random: Random, tell: Tell
) -> AsyncIterator[LiveMarket]:
    """Follow the market for the length of a block.

    Args:
        source: Where it is.
        symbols: What of it.
        clock: Says when something arrives.
        random: Spreads the attempts to connect again.
        tell: Is told when the market is lost and when it is back.

    Raises:
        RetryableError: It cannot be reached, or answers what Binance never would.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_DEADLINE_S)) as session:
        feed = _Feed(session, source, symbols, clock=clock, random=random, tell=tell)
        try:
            socket, market = await feed.begin()
        except LostError as error:
            raise RetryableError(f"the market cannot be followed: {error}") from error
        following, block = asyncio.create_task(feed.follow(market, socket)), asyncio.current_task()
        following.add_done_callback(lambda task: task.cancelled() or (block and block.cancel()))
        try:
            yield market
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following  # a bug in it ended the block, and is raised here


class _Feed:
    """The connections to the source, one after another."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        source: Source,
        symbols: Sequence[str],
        *,
        clock: Clock,
        random: Random,
        tell: Tell,
    ) -> None:
        self._session = session
        self._source = source
        self._symbols = tuple(symbols)
        self._clock = clock
        self._random = random
        self._tell = tell
        self._rest = BinanceRest(session, source.rest)

    async def begin(self) -> tuple[Socket, LiveMarket]:
        """Connect for the first time."""
        socket = await self._connect()
        try:
            tracks = {symbol: (await self._ask(symbol, next_id=None))[0] for symbol in self._symbols}
        except LostError:
            await socket.close()
            raise
        market = LiveMarket(
            tracks,
            identity=f"binance {','.join(self._symbols)}",
            clock=self._clock,
            silence_s_max=self._source.silence_s_max,
        )
        return socket, market

    async def follow(self, market: LiveMarket, socket: Socket) -> None:
        """Take what arrives, on one connection after another, for ever."""
        losses = 0
        connected: Socket | None = socket
        while True:
            begun_at_s = self._clock.monotonic_s()
            try:
                if connected is None:
                    connected = await self._connect()
                    await self._catch_up(market)
                    self._tell("sees the market again")
                await self._read(market, connected)
            except LostError as error:
                losses = 1 if self._clock.monotonic_s() - begun_at_s > CALM_S else losses + 1
                pause_s = pause_after(losses, self._random)
                self._tell(f"has lost the market: {error}; trying again in {pause_s:.1f} s")
            finally:
                if connected is not None:
                    await connected.close()
            connected = None
            await asyncio.sleep(pause_s)

    async def _connect(self) -> Socket:
        """Return a connection on which everything arrives from now on."""
        names = "/".join(f"{symbol.lower()}@{kind}" for symbol in self._symbols for kind in ("trade", "bookTicker"))
        url = f"{self._source.ws}/stream?streams={names}"
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await self._session.ws_connect(url, heartbeat=_HEARTBEAT_S, max_msg_size=_FRAME_BYTES_MAX)
        except (aiohttp.ClientError, OSError) as error:
            raise LostError(f"{self._source.ws}: expected a connection, found: {text_of_error(error)}") from error

    async def _catch_up(self, market: LiveMarket) -> None:
        for symbol in self._symbols:
            market.renew(symbol, *await self._ask(symbol, next_id=market.next_id(symbol)))

    async def _ask(self, symbol: str, *, next_id: int | None) -> tuple[LiveTrack, list[Print]]:
        return await self._rest.track(symbol, next_id=next_id, now_ms=epoch_ms(self._clock.now()))

    async def _read(self, market: LiveMarket, socket: Socket) -> None:
        silence_s = self._source.silence_s_max
        while True:
            try:
                message = await socket.receive(timeout=silence_s)
            except TimeoutError as error:
                raise LostError(f"{self._source.ws}: nothing arrived for {silence_s:g} s") from error
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise LostError(f"{self._source.ws}: the connection has ended: {message.type.name}")
            try:
                _take(market, json.loads(message.data)["data"])
            except (LookupError, TypeError, ValueError, InvalidOperation) as error:
                raise LostError(f"{self._source.ws}: expected Binance's streams, found {error!r}") from error
            if market.is_silent:
                raise LostError(f"{self._source.ws}: one of the symbols was silent for {silence_s:g} s")


def _take(market: LiveMarket, event: dict[str, Any]) -> None:
    """Take one message.

    Raises:
        LostError: A trade was missed.
    """
    symbol = event["s"]
    rules = LISTED[symbol]
    if event.get("e") == "trade":
        expected, found = market.next_id(symbol), event["t"]
        if found > expected:
            raise LostError(f"{symbol}: expected trade {expected}, found {found}")
        if found == expected:
            price, lots = ticks_of(rules, event["p"]), lots_of(rules, event["q"])
            market.add_trade(symbol, price=price, lots=lots, buyer_is_maker=event["m"])
        return
    market.add_quote(symbol, quote_of(rules, event["b"], event["B"], event["a"], event["A"]))


def pause_after(losses: int, random: Random) -> float:
    """Return how long to wait after so many losses in a row: doubling, bounded, and never in step with others."""
    longest_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2.0 ** min(losses - 1, 16))
    return longest_s * (0.5 + random.random() / 2)
