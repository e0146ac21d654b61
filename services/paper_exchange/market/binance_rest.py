"""What Binance's REST API says of a symbol: its recent trades, its best quote, and candles of what was before.

Invariant: each moment is told once: by trades as far as they reach back, before them by minutes, then hours, then days.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from libs.trading.matching import Quote
from services.paper_exchange.market.intervals import candle_start
from services.paper_exchange.market.live_track import MINUTE_MS, Block, LiveTrack
from services.paper_exchange.market.reel import Print
from services.paper_exchange.market.summary import Summary
from services.paper_exchange.venue.rules import LISTED, SymbolRules, units_of

INTERVALS: Final = ("1d", "1h", "1m")
_LIMIT: Final = 1_000
_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
_CHUNK_BYTES: Final = 65_536


class LostError(Exception):
    """The market cannot be followed from here: not reached, not understood, or a part of it was missed."""


class BinanceRest:
    """Asks for what was.

    Args:
        session: Has the deadline of each request.
        base: The base address.
    """

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def track(self, symbol: str, *, next_id: int | None, now_ms: int) -> tuple[LiveTrack, list[Print]]:
        """Return all that is known of a symbol up to a trade, and the trades from there on.

        Args:
            symbol: Which one.
            next_id: The first trade that was not seen yet; None: all were.
            now_ms: No trade is later, whatever the other side's clock says.

        Raises:
            LostError: There is no answer, or none that Binance gives.
        """
        trades = await self._ask("trades", symbol=symbol, limit=_LIMIT)
        best = await self._ask("ticker/bookTicker", symbol=symbol)
        candles = {
            interval: await self._ask("klines", symbol=symbol, interval=interval, limit=_LIMIT)
            for interval in INTERVALS
        }
        try:
            before = candles["1m"][0][0] - 1
            earlier = await self._ask("klines", symbol=symbol, interval="1m", limit=_LIMIT, endTime=before)
            candles["1m"] = [*earlier, *candles["1m"]]
            rules = LISTED[symbol]
            prints = [_print_of(rules, trade, now_ms) for trade in trades]
            first_id = int(trades[0]["id"])
            seen = len(prints) if next_id is None else max(1, next_id - first_id)
            blocks = _blocks(rules, candles, prints)
            quote = quote_of(rules, best["bidPrice"], best["bidQty"], best["askPrice"], best["askQty"])
            return LiveTrack(blocks, prints[:seen], first_id=first_id, quote=quote), prints[seen:]
        except (LookupError, TypeError, ValueError, InvalidOperation) as error:
            raise LostError(f"{self._base}: expected Binance's answers about {symbol}, found {error!r}") from error

    async def _ask(self, path: str, **parameters: str | int) -> Any:
        url = f"{self._base}/api/v3/{path}"
        try:
            async with self._session.get(url, params=parameters) as answer:
                body = bytearray()
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    body += chunk
                    if len(body) > _ANSWER_BYTES_MAX:
                        raise LostError(f"{url}: expected at most {_ANSWER_BYTES_MAX} bytes, found more")
                if answer.status != HTTPStatus.OK:
                    raise LostError(f"{url}: expected status 200, found {answer.status}: {bytes(body[:200])!r}")
                return json.loads(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise LostError(f"{url}: expected an answer in JSON, found: {text_of_error(error)}") from error


def text_of_error(error: Exception) -> str:
    """Return what an error says, or its name where it says nothing."""
    return str(error) or type(error).__name__


def ticks_of(rules: SymbolRules, price: str) -> int:
    """Return a price in ticks."""
    return units_of(Decimal(price)) // rules.tick_units


def lots_of(rules: SymbolRules, quantity: str) -> int:
    """Return a quantity in lots."""
    return units_of(Decimal(quantity)) // rules.step_units


def quote_of(rules: SymbolRules, bid: str, bid_quantity: str, ask: str, ask_quantity: str) -> Quote:
    """Return a best bid and ask."""
    return Quote(ticks_of(rules, bid), lots_of(rules, bid_quantity), ticks_of(rules, ask), lots_of(rules, ask_quantity))


def _print_of(rules: SymbolRules, trade: Mapping[str, Any], now_ms: int) -> Print:
    return Print(
        min(int(trade["time"]), now_ms),
        ticks_of(rules, trade["price"]),
        lots_of(rules, trade["qty"]),
        bool(trade["isBuyerMaker"]),
    )


def _block_of(rules: SymbolRules, candle: Sequence[Any]) -> Block:
    start_ms, opened, high, low, closed, volume, _, amount, count, taken_volume, taken_amount, *_ = candle
    return Block(
        int(start_ms),
        Summary(
            open=ticks_of(rules, opened),
            high=ticks_of(rules, high),
            low=ticks_of(rules, low),
            close=ticks_of(rules, closed),
            lots=lots_of(rules, volume),
            notional=units_of(Decimal(amount)) // rules.notional_factor,
            taken_lots=lots_of(rules, taken_volume),
            taken_notional=units_of(Decimal(taken_amount)) // rules.notional_factor,
            count=int(count),
        ),
    )


def _blocks(rules: SymbolRules, candles: Mapping[str, Sequence[Any]], prints: Sequence[Print]) -> list[Block]:
    """Return candles up to the first trade, each interval where the next finer one does not reach."""
    until_ms = prints[0].at_ms + 1
    found: list[Block] = []
    for index, interval in reversed(tuple(enumerate(INTERVALS))):
        blocks = [_block_of(rules, candle) for candle in candles[interval] if candle[0] < until_ms]
        if index:
            coarser = INTERVALS[index - 1]
            aligned = next((i for i, block in enumerate(blocks) if _begins(coarser, block.start_ms)), 0)
            blocks = blocks[aligned:]
        if blocks:
            until_ms = blocks[0].start_ms
        found = [*blocks, *found]
    if found:
        found[-1] = _without(found[-1], prints)
    return [block for block in found if block.summary.count > 0]


def _begins(interval: str, at_ms: int) -> bool:
    return candle_start(interval, at_ms) == at_ms


def _without(block: Block, prints: Sequence[Print]) -> Block:
    """Return what is left of the minute in which the trades begin, without those trades."""
    known = [trade for trade in prints if trade.at_ms < block.start_ms + MINUTE_MS]
    taken = [trade for trade in known if not trade.buyer_is_maker]
    total = block.summary
    return Block(
        block.start_ms,
        Summary(
            open=total.open,
            high=total.high,
            low=total.low,
            close=prints[0].price,
            lots=max(0, total.lots - sum(trade.lots for trade in known)),
            notional=max(0, total.notional - sum(trade.price * trade.lots for trade in known)),
            taken_lots=max(0, total.taken_lots - sum(trade.lots for trade in taken)),
            taken_notional=max(0, total.taken_notional - sum(trade.price * trade.lots for trade in taken)),
            count=max(0, total.count - len(known)),
        ),
    )
