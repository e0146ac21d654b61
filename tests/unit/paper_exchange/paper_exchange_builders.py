"""A venue on a clock that only the test moves, on a market that the test writes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from libs.trading.matching import OrderBook, Quote, Side, TimeInForce
from services.paper_exchange.journal import Journal
from services.paper_exchange.market.history import Trade
from services.paper_exchange.market.recording import Recording
from services.paper_exchange.market.reel import Reel
from services.paper_exchange.market.tape import Tape
from services.paper_exchange.venue.orders import NewList, NewOrder, OrderList
from services.paper_exchange.venue.rules import LISTED, UNIT, SymbolRules
from services.paper_exchange.venue.venue import Opening, Venue

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BTC = LISTED["BTCUSDT"]
PRICE = 5_000_000  # 50 000 USDT


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self._now = BEGIN

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return (self._now - BEGIN).total_seconds()

    def move(self, milliseconds: int) -> None:
        self._now += timedelta(milliseconds=milliseconds)


class FakeAudience:
    """Remembers what accounts were told, and whether the journal had it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.trades: list[Trade] = []

    def on_time(self, now_ms: int) -> None:
        """Nothing to remember."""

    def on_quote(self, symbol: str, book: OrderBook, before: Quote) -> None:
        """Nothing to remember."""

    def on_trade(self, symbol: str, trade: Trade) -> None:
        del symbol
        self.trades.append(trade)

    def on_levels(self, symbol: str, book: OrderBook, side: Side, prices: Sequence[int]) -> None:
        """Nothing to remember."""

    def listens(self, account: str) -> bool:
        del account
        return True

    def on_account_event(self, account: str, event: dict[str, Any]) -> None:
        self.events.append((account, event))

    def flush(self) -> None:
        """Nothing to pass on."""

    def reports(self, order_id: int) -> list[dict[str, Any]]:
        """Return the reports on one order."""
        return [event for _, event in self.events if event["e"] == "executionReport" and event["i"] == order_id]

    def steps(self) -> list[tuple[str, str]]:
        """Return execution type and status of every report so far."""
        return [(event["x"], event["X"]) for _, event in self.events if event["e"] == "executionReport"]


def a_recording(
    quotes: Sequence[tuple[int, int]] = ((0, PRICE),),
    trades: Sequence[tuple[int, int, int]] = ((1, PRICE, 10),),
    *,
    symbol: str = "BTCUSDT",
    length_ms: int = 100_000,
    lots: int = 1_000,
) -> Recording:
    """Return a market: quotes as (time, bid), one tick wide; trades as (time, price, lots)."""
    return Recording(
        symbol=symbol,
        price_tick="0.01",
        lot_step="0.00001",
        length_ms=length_ms,
        source="a test",
        quote_times=[at_ms for at_ms, _ in quotes],
        bids=[bid for _, bid in quotes],
        asks=[bid + 1 for _, bid in quotes],
        bid_lots=[lots] * len(quotes),
        ask_lots=[lots] * len(quotes),
        trade_times=[at_ms for at_ms, _, _ in trades],
        quotes_before=[sum(at <= at_ms for at, _ in quotes) for at_ms, _, _ in trades],
        prices=[price for _, price, _ in trades],
        lots=[quantity for _, _, quantity in trades],
        buyer_is_maker=[True] * len(trades),
    )


class VenueBench:
    """A venue with its clock and audience, that can be killed and started again."""

    def __init__(self, directory: Path, recording: Recording | None = None, *, bytes_max: int = 1 << 20) -> None:
        self.clock = FakeClock()
        self.audience = FakeAudience()
        self.directory = directory
        self._tape = Tape.of(Reel([recording or a_recording()]), identity="test")
        self._bytes_max = bytes_max
        self.openings: tuple[Opening, ...] = (
            Opening("main", "USDT", 100_000 * UNIT),
            Opening("main", "BTC", UNIT),
            Opening("other", "USDT", 100_000 * UNIT),
            Opening("other", "BTC", UNIT),
        )
        self.venue = self.start()

    def start(self, *, identity: str = "test", speed: int = 1) -> Venue:
        """Start a venue on what the journal says."""
        self._tape.identity = identity
        self.venue = Venue(
            clock=self.clock,
            tape=self._tape,
            speed=Fraction(speed),
            journal=Journal(self.directory, bytes_max=self._bytes_max),
            audience=self.audience,
            openings=self.openings,
            seed=1,
        )
        return self.venue

    def wait(self, milliseconds: int) -> None:
        """Let time pass in steps that are no stall."""
        while milliseconds > 0:
            step = min(milliseconds, 1_000)
            self.clock.move(step)
            self.venue.advance()
            milliseconds -= step

    def place_oco(self, account: str, client_id: str, above: NewOrder, below: NewOrder) -> OrderList:
        """Place two orders of which one cancels the other, and return their list as the exchange has it."""
        return self.place_list(account, NewList(client_id, (above, below)))

    def place_list(self, account: str, new: NewList) -> OrderList:
        """Place an order list, and return it as the exchange has it."""
        placed = self.venue.place_list(account, new)
        found = self.venue.desk.find_list(account, list_id=placed.order_list.list_id, client_id=None)
        assert found is not None
        return found

    def money(self, account: str = "main") -> dict[str, tuple[int, int]]:
        """Return free and locked units by asset."""
        balances = self.venue.ledger.balances(account)
        return {asset: (balance.free, balance.locked) for asset, balance in balances.items()}


_ids = iter(range(1, 1 << 30))


def an_order(
    kind: str = "LIMIT",
    *,
    side: Side = Side.BUY,
    lots: int = 1_000,
    price: int = 0,
    stop_price: int = 0,
    quote_units: int = 0,
    client_id: str = "",
    time_in_force: TimeInForce = TimeInForce.GTC,
    prevention: str = "EXPIRE_MAKER",
    iceberg_lots: int = 0,
    trailing_delta: int = 0,
    rules: SymbolRules = BTC,
) -> NewOrder:
    """Return an order for 0.01 BTC."""
    return NewOrder(
        rules=rules,
        side=side,
        kind=kind,
        client_id=client_id or f"order-{next(_ids)}",
        time_in_force=time_in_force,
        lots=0 if quote_units else lots,
        quote_units=quote_units,
        price=price,
        stop_price=stop_price,
        prevention=prevention,
        iceberg_lots=iceberg_lots,
        trailing_delta=trailing_delta,
    )
