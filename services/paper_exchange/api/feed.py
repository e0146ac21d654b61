"""Telling subscribers what happens on the market and to their accounts.

Invariant: a frame is built once for all its subscribers, and not at all if there are none.
"""

import json
from collections.abc import Callable, Iterable, KeysView, Sequence
from contextlib import suppress
from typing import Any, Protocol

from libs.trading.matching import OrderBook, Quote, Side
from services.paper_exchange.api.outbox import Outbox
from services.paper_exchange.api.time_unit import TimeUnit
from services.paper_exchange.faults.streams import MarketFaults
from services.paper_exchange.market.history import Trade
from services.paper_exchange.venue.rules import LISTED


class Subscriber(Protocol):
    """A market data connection."""

    outbox: Outbox
    combined: bool
    unit: TimeUnit


class BookChanges:
    """Which prices of one book changed since the last depth update, and the ids of its changes."""

    def __init__(self, first_id: int) -> None:
        self.update_id = first_id
        self.published_id = first_id
        self.prices: dict[Side, set[int]] = {Side.BUY: set(), Side.SELL: set()}
        self.taken: set[tuple[Side, int]] = set()

    def clear(self) -> None:
        """Begin the next update."""
        self.published_id = self.update_id
        for prices in self.prices.values():
            prices.clear()


class Feed:
    """The audience that is out on the network.

    Args:
        symbols: What trades.
        first_update_id: Where the books' update ids begin; larger than any of an earlier run.
    """

    def __init__(self, *, symbols: Iterable[str], first_update_id: int) -> None:
        self._subscribers: dict[str, set[Subscriber]] = {}
        self._accounts: dict[str, dict[Callable[[dict[str, Any]], None], None]] = {}
        self._frames: list[tuple[str, str]] = []
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._best: dict[str, tuple[Any, Any]] = {}
        self.changes = {symbol: BookChanges(first_update_id) for symbol in symbols}
        self.now_ms = 0
        self._depth_symbols: set[str] = set()
        self.frames_total = 0
        self.faults: MarketFaults | None = None

    @property
    def streams(self) -> KeysView[str]:
        """The streams with at least one subscriber."""
        return self._subscribers.keys()

    @property
    def account_listeners(self) -> int:
        """How many user data streams are open."""
        return sum(len(listeners) for listeners in self._accounts.values())

    def subscribe(self, streams: Iterable[str], subscriber: Subscriber) -> None:
        """Send streams to a connection from now on."""
        for stream in streams:
            self._subscribers.setdefault(stream, set()).add(subscriber)
        self._note_depth_symbols()

    def unsubscribe(self, streams: Iterable[str], subscriber: Subscriber) -> None:
        """Stop sending streams to a connection."""
        for stream in streams:
            subscribers = self._subscribers.get(stream, set())
            subscribers.discard(subscriber)
            if not subscribers:
                self._subscribers.pop(stream, None)
        self._note_depth_symbols()

    def subscribe_account(self, account: str, receive: Callable[[dict[str, Any]], None]) -> None:
        """Pass an account's events to `receive` from now on."""
        self._accounts.setdefault(account, {})[receive] = None

    def unsubscribe_account(self, account: str, receive: Callable[[dict[str, Any]], None]) -> None:
        """Stop passing an account's events to `receive`."""
        self._accounts.get(account, {}).pop(receive, None)

    def publish(self, stream: str, event: Any) -> None:
        """Send an event on a stream with the next flush."""
        self._frames.append((stream, json.dumps(event, separators=(",", ":"))))

    def wants(self, stream: str) -> bool:
        """Return whether anyone listens to a stream."""
        return stream in self._subscribers

    def on_time(self, now_ms: int) -> None:
        """Take note of exchange time, which stamps the events."""
        self.now_ms = now_ms

    def on_quote(self, symbol: str, book: OrderBook, before: Quote) -> None:
        """A recorded quote came into force."""
        changes = self.changes[symbol]
        changes.update_id += 1
        if symbol in self._depth_symbols:
            after = book.quote
            for side, old, new in ((Side.BUY, before.bid, after.bid), (Side.SELL, before.ask, after.ask)):
                changes.prices[side].update((old, new), book.ruled_prices(side, old, new))
            for side, price in changes.taken:
                changes.prices[side].add(price)
            changes.taken.clear()
        self._tell_best(symbol, book)

    def on_trade(self, symbol: str, trade: Trade) -> None:
        """A trade was printed."""
        lower = symbol.lower()
        rules = LISTED[symbol]
        for stream, kind in ((f"{lower}@trade", "trade"), (f"{lower}@aggTrade", "aggTrade")):
            if stream not in self._subscribers:
                continue
            ids = (
                f'"t":{trade.trade_id}'
                if kind == "trade"
                else f'"a":{trade.trade_id},"f":{trade.trade_id},"l":{trade.trade_id}'
            )
            frame = (
                f'{{"e":"{kind}","E":{self.now_ms},"s":"{symbol}",{ids},"p":"{rules.price_text(trade.price)}",'
                f'"q":"{rules.quantity_text(trade.lots)}","T":{trade.at_ms},'
                f'"m":{"true" if trade.buyer_is_maker else "false"},"M":true}}'
            )
            self._frames.append((stream, frame))

    def on_levels(self, symbol: str, book: OrderBook, side: Side, prices: Sequence[int]) -> None:
        """Clients changed what is on offer at these prices."""
        changes = self.changes[symbol]
        changes.update_id += 1
        if symbol in self._depth_symbols:
            changes.prices[side].update(prices)
            changes.taken.update((side, price) for price in prices)
        self._tell_best(symbol, book)

    def listens(self, account: str) -> bool:
        """Return whether anyone wants to know what happens to an account."""
        return bool(self._accounts.get(account))

    def on_account_event(self, account: str, event: dict[str, Any]) -> None:
        """Something happened to an account."""
        if self.listens(account):
            self._events.append((account, event))

    def flush(self) -> None:
        """Pass everything on."""
        if self.faults is not None:
            self._frames = self.faults.passed(self._frames)
        for stream, frame in self._frames:
            forms: dict[tuple[bool, TimeUnit], str] = {(False, TimeUnit.MILLISECOND): frame}
            for subscriber in self._subscribers.get(stream, ()):
                form = (subscriber.combined, subscriber.unit)
                if form not in forms:
                    forms[form] = _formed(stream, frame, *form)
                subscriber.outbox.put(forms[form])
                self.frames_total += 1
        self._frames.clear()
        for account, event in self._events:
            for receive in tuple(self._accounts.get(account, ())):
                receive(event)
        self._events.clear()

    def _note_depth_symbols(self) -> None:
        """Work out whose books are watched, so that quotes of the others cost nothing."""
        watched = {stream.split("@")[0].upper() for stream in self._subscribers if "@depth" in stream}
        for symbol in watched - self._depth_symbols:
            if symbol in self.changes:
                self.changes[symbol].clear()
        self._depth_symbols = watched

    def _tell_best(self, symbol: str, book: OrderBook) -> None:
        stream = f"{symbol.lower()}@bookTicker"
        if stream not in self._subscribers:
            return
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        if bid is None or ask is None or (bid, ask) == self._best.get(symbol):
            return
        self._best[symbol] = (bid, ask)
        rules = LISTED[symbol]
        frame = (
            f'{{"u":{self.changes[symbol].update_id},"s":"{symbol}",'
            f'"b":"{rules.price_text(bid[0])}","B":"{rules.quantity_text(bid[1])}",'
            f'"a":"{rules.price_text(ask[0])}","A":"{rules.quantity_text(ask[1])}"}}'
        )
        self._frames.append((stream, frame))


def _formed(stream: str, frame: str, combined: bool, unit: TimeUnit) -> str:  # noqa: FBT001 - the form's two parts
    """Return a frame as a connection of this form gets it."""
    if unit is not TimeUnit.MILLISECOND:
        with suppress(json.JSONDecodeError):  # a fault has broken it
            frame = json.dumps(unit.of_event(json.loads(frame)), separators=(",", ":"))
    return f'{{"stream":"{stream}","data":{frame}}}' if combined else frame
