"""What was traded when: trades, candles and statistics of any stretch of exchange time.

Invariant: a candle asked for later equals the one streamed, because both are computed here from the same trades.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

from services.paper_exchange.market.intervals import candle_start, next_candle_start
from services.paper_exchange.market.summary import Summary
from services.paper_exchange.market.tape import Market
from services.paper_exchange.market.timeline import Timeline

TRADE_ID_FIRST = 10_000_000_000
CLIENT_TRADES_MAX = 20_000
HISTORY_MS = 3 * 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as the public sees it, of the tape or of clients; `place_ms` orders both, the tape first."""

    trade_id: int
    at_ms: int
    place_ms: int
    price: int
    lots: int
    buyer_is_maker: bool


@dataclass(frozen=True, slots=True)
class Candle:
    """A candle; without trades its prices are the last one before it and its trade ids are -1."""

    start_ms: int
    end_ms: int
    summary: Summary
    first_trade_id: int
    last_trade_id: int


class History:
    """Past trades of every symbol: the tape up to its present place, and what clients traded besides."""

    def __init__(self, *, tape: Market, timeline: Timeline, place_ms: int) -> None:
        self._tape = tape
        self._timeline = timeline
        self._client_trades = {symbol: deque[Trade](maxlen=CLIENT_TRADES_MAX) for symbol in tape.symbols}
        self._client_trade_counts = dict.fromkeys(tape.symbols, 0)
        self.place_ms = place_ms

    @property
    def client_trade_counts(self) -> dict[str, int]:
        """How many trades clients took part in, by symbol, since the first start."""
        return self._client_trade_counts

    @property
    def begins_at_ms(self) -> int:
        """The earliest moment that can be asked for."""
        return self._timeline.segments[0].wall_ms - HISTORY_MS

    def restore(self, counts: dict[str, int], trades: dict[str, list[Trade]]) -> None:
        """Take over what clients traded before a restart."""
        for symbol in self._tape.symbols:
            self._client_trade_counts[symbol] = counts.get(symbol, 0)
            self._client_trades[symbol].extend(trades.get(symbol, ()))

    def add_client_trade(self, symbol: str, *, at_ms: int, price: int, lots: int, buyer_is_maker: bool) -> Trade:
        """Record a trade that clients took part in, number it, and return it."""
        ordinal = self._tape.count_until(symbol, self.place_ms) + self._client_trade_counts[symbol]
        trade = Trade(TRADE_ID_FIRST + ordinal, at_ms, self.place_ms, price, lots, buyer_is_maker)
        self._client_trade_counts[symbol] += 1
        self._client_trades[symbol].append(trade)
        return trade

    def tape_trade(self, symbol: str, ordinal: int) -> Trade:
        """Return a trade of the tape as the public sees it."""
        printed = self._tape.trade(symbol, ordinal)
        trade_id = TRADE_ID_FIRST + ordinal + self._client_trades_before(symbol, printed.at_ms)
        return Trade(
            trade_id,
            self._timeline.wall_at(printed.at_ms),
            printed.at_ms,
            printed.price,
            printed.lots,
            printed.buyer_is_maker,
        )

    def last_trade(self, symbol: str) -> Trade:
        """Return the newest trade."""
        tape_trade = self.tape_trade(symbol, self._tape.count_until(symbol, self.place_ms) - 1)
        client_trades = self._client_trades[symbol]
        return client_trades[-1] if client_trades and client_trades[-1].trade_id > tape_trade.trade_id else tape_trade

    def recent(self, symbol: str, limit: int, *, before_ms: int | None = None) -> list[Trade]:
        """Return the last `limit` trades (those at or before `before_ms`), oldest first."""
        place_ms = self.place_ms if before_ms is None else min(self.place_ms, self._timeline.place_at(before_ms))
        last = self._tape.count_until(symbol, place_ms)
        trades = [self.tape_trade(symbol, ordinal) for ordinal in range(last - limit, last)]
        trades += [trade for trade in self._client_trades[symbol] if before_ms is None or trade.at_ms <= before_ms]
        return sorted(trades, key=lambda trade: trade.trade_id)[-limit:]

    def since(self, symbol: str, start_ms: int, limit: int) -> list[Trade]:
        """Return the first `limit` trades at or after `start_ms`, oldest first."""
        first = self._first_ordinal(symbol, start_ms)
        last = min(first + limit, self._tape.count_until(symbol, self.place_ms))
        trades = [self.tape_trade(symbol, ordinal) for ordinal in range(first, last)]
        trades += [trade for trade in self._client_trades[symbol] if trade.at_ms >= start_ms]
        return sorted(trades, key=lambda trade: trade.trade_id)[:limit]

    def from_id(self, symbol: str, trade_id: int, limit: int) -> list[Trade]:
        """Return the first `limit` trades with this id or a later one, oldest first."""
        # An id is its ordinal plus the clients' trades before it, so the ordinal is at most that many lower.
        end = self._tape.count_until(symbol, self.place_ms)
        first = trade_id - TRADE_ID_FIRST - self._client_trade_counts[symbol]
        trades = list(self._client_trades[symbol])
        ordinal = max(first, self._first_ordinal(symbol, self.begins_at_ms))
        while ordinal < end and len(trades) < limit + 2 * CLIENT_TRADES_MAX:
            trades.append(self.tape_trade(symbol, ordinal))
            ordinal += 1
            if trades[-1].trade_id >= trade_id + limit:
                break
        wanted = [trade for trade in trades if trade.trade_id >= trade_id]
        return sorted(wanted, key=lambda trade: trade.trade_id)[:limit]

    def candle(self, symbol: str, start_ms: int, end_ms: int) -> Candle:
        """Return the candle of the trades from `start_ms` up to, not including, `end_ms`."""
        first, last = self._first_ordinal(symbol, start_ms), self._first_ordinal(symbol, end_ms)
        total = self._tape.summary(symbol, first, last)
        trades = [trade for trade in self._recent_client_trades(symbol, start_ms) if trade.at_ms < end_ms]
        if total is None and not trades:
            price = self._price_before(symbol, start_ms, first)
            return Candle(start_ms, end_ms, Summary(price, price, price, price, 0, 0, 0, 0, 0), -1, -1)
        ids = [trade.trade_id for trade in trades]
        if total is not None:
            opening, closing = self.tape_trade(symbol, first), self.tape_trade(symbol, last - 1)
            ids += [opening.trade_id, closing.trade_id]
        if trades:
            part = Summary.of(trades)
            if total is None:
                total = part
            else:
                opening_price = part.open if trades[0].trade_id < opening.trade_id else total.open
                closing_price = part.close if trades[-1].trade_id > closing.trade_id else total.close
                both = total.followed_by(part)
                total = Summary(
                    opening_price,
                    both.high,
                    both.low,
                    closing_price,
                    both.lots,
                    both.notional,
                    both.taken_lots,
                    both.taken_notional,
                    both.count,
                )
        assert total is not None  # noqa: S101 - narrows the type: one of both parts exists
        return Candle(start_ms, end_ms, total, min(ids), max(ids))

    def candles(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
        now_ms: int,
        zone_ms: int = 0,
    ) -> list[Candle]:
        """Return candles by Binance's rule: without a start the newest, with one the oldest from there."""
        end_ms = now_ms if end_ms is None else min(end_ms, now_ms)
        if start_ms is None:
            start = candle_start(interval, end_ms, candles_back=limit - 1, zone_ms=zone_ms)
        elif start_ms > end_ms:
            return []
        else:
            start = candle_start(interval, start_ms, zone_ms=zone_ms)
            start = start if start >= start_ms else next_candle_start(interval, start, zone_ms=zone_ms)
        start = max(start, candle_start(interval, self.begins_at_ms, zone_ms=zone_ms))
        found: list[Candle] = []
        while start <= end_ms and len(found) < limit:
            following = next_candle_start(interval, start, zone_ms=zone_ms)
            found.append(self.candle(symbol, start, following))
            start = following
        return found

    def _first_ordinal(self, symbol: str, at_ms: int) -> int:
        """Return the ordinal of the tape's first trade at or after `at_ms`, as far as the tape has been shown."""
        return self._tape.count_until(symbol, min(self.place_ms, self._timeline.place_at(at_ms - 1)))

    def _client_trades_before(self, symbol: str, place_ms: int) -> int:
        trades = self._client_trades[symbol]
        if not trades or trades[-1].place_ms < place_ms:
            return self._client_trade_counts[symbol]
        forgotten = self._client_trade_counts[symbol] - len(trades)
        return forgotten + bisect_left(trades, place_ms, key=lambda trade: trade.place_ms)

    def _recent_client_trades(self, symbol: str, start_ms: int) -> list[Trade]:
        trades = self._client_trades[symbol]
        if not trades or trades[-1].at_ms < start_ms:
            return []
        begin = bisect_left(trades, start_ms, key=lambda trade: trade.at_ms)
        return [trades[index] for index in range(begin, len(trades))]

    def _price_before(self, symbol: str, at_ms: int, first: int) -> int:
        tape_trade = self.tape_trade(symbol, first - 1)
        trades = self._client_trades[symbol]
        index = bisect_left(trades, at_ms, key=lambda trade: trade.at_ms) - 1
        if index >= 0 and trades[index].trade_id > tape_trade.trade_id:
            return trades[index].price
        return tape_trade.price
