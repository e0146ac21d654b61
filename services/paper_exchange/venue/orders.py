"""Orders, order lists, fills and prevented matches in memory.

Invariant: what is left of an order is its quantity less what was executed and what was prevented.
"""

from dataclasses import dataclass

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.venue.rules import SymbolRules

STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
LIMIT_TYPES = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
PENDING = "PENDING_NEW"
OPEN_STATES = frozenset({PENDING, "NEW", "PARTIALLY_FILLED"})
ONE_CANCELS_THE_OTHER, ONE_TRIGGERS_THE_OTHER = "OCO", "OTO"
NO_LIST = -1
NOT_YET = -1
NO_TRADE_GROUP = -1
"""Accounts here belong to no group, so that only orders of one account are kept from trading with each other."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a client asks for; prices in ticks, `quote_units` in 1e-8 of the quote asset; 0 means not given.

    Args:
        rules: Of its symbol.
        side: Which way it trades.
        kind: Its type, as Binance names it.
        client_id: The client's name for it.
        time_in_force: How long it waits.
        lots: The quantity.
        quote_units: The amount, where that sizes it.
        price: Its limit.
        stop_price: What the market must reach before it works, or before it trails.
        prevention: The mode of self-trade prevention.
        strategy_id: The client's label.
        strategy_type: The client's other label.
        iceberg_lots: How much of it the book shows at a time.
        trailing_delta: How far, in hundredths of a percent, the market must turn back before it works.
    """

    rules: SymbolRules
    side: Side
    kind: str
    client_id: str
    time_in_force: TimeInForce = TimeInForce.GTC
    lots: int = 0
    quote_units: int = 0
    price: int = 0
    stop_price: int = 0
    prevention: str = ""
    strategy_id: int | None = None
    strategy_type: int | None = None
    iceberg_lots: int = 0
    trailing_delta: int = 0

    @property
    def is_stop(self) -> bool:
        """Whether it waits for the market before it works."""
        return self.kind in STOP_TYPES

    @property
    def gives(self) -> str:
        """The asset it pays with."""
        return self.rules.quote if self.side is Side.BUY else self.rules.base

    @property
    def triggers_below(self) -> bool:
        """Whether a falling market reaches its stop price (a rising one otherwise)."""
        return self.kind.startswith("STOP_LOSS") == (self.side is Side.SELL)


@dataclass(frozen=True, slots=True)
class NewList:
    """Orders that a client wants to depend on each other.

    Args:
        client_id: The client's name for the list.
        legs: One order, or two of which one cancels the other, the one above the market first.
        working: What has to fill before the legs are placed; `None`: they are placed at once.
        pays: Whether the legs sell what the working order bought, so that they have no quantity before.
    """

    client_id: str
    legs: tuple[NewOrder, ...]
    working: NewOrder | None = None
    pays: bool = False

    @property
    def orders(self) -> tuple[NewOrder, ...]:
        """All its orders, the working one first."""
        return self.legs if self.working is None else (self.working, *self.legs)


@dataclass(slots=True)
class Order:
    """An accepted order; `locked` is what it holds back, in 1e-8 of the asset it gives.

    A trailing stop follows the market since `trailing_ms`; `best_price` is the best it has seen for the order since.
    """

    order_id: int
    account: str
    request: NewOrder
    lots: int
    created_ms: int
    updated_ms: int
    list_id: int = NO_LIST
    working_ms: int = NOT_YET
    executed: int = 0
    spent: int = 0
    status: str = "NEW"
    locked: int = 0
    expiry_reason: str = ""
    prevented: int = 0
    prevented_match_id: int = 0
    trailing_ms: int = NOT_YET
    best_price: int = 0

    @property
    def symbol(self) -> str:
        """The symbol it trades."""
        return self.request.rules.symbol

    @property
    def side(self) -> Side:
        """Which way it trades."""
        return self.request.side

    @property
    def remaining(self) -> int:
        """Lots that may still trade."""
        return self.lots - self.executed - self.prevented

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in OPEN_STATES

    @property
    def is_pending(self) -> bool:
        """Whether it waits for the working order of its list."""
        return self.status == PENDING

    @property
    def is_working(self) -> bool:
        """Whether it has reached the book (a stop has not before its trigger, a pending order not before its turn)."""
        return self.working_ms != NOT_YET

    @property
    def gives(self) -> str:
        """The asset it pays with."""
        return self.request.gives

    @property
    def receives(self) -> str:
        """The asset it is paid in, and its commission is charged in."""
        return self.request.rules.base if self.side is Side.BUY else self.request.rules.quote

    @property
    def needed(self) -> int:
        """What a limit order that is left with `remaining` may still have to give, in 1e-8 units."""
        rules = self.request.rules
        if self.side is Side.SELL:
            return rules.base_units(self.remaining)
        return rules.notional(self.request.price, self.remaining)


@dataclass(slots=True)
class OrderList:
    """Orders that depend on each other: of its legs at most one trades, and where there is a working order they wait.

    Args:
        list_id: Its number.
        account: Whose it is.
        symbol: What its orders trade.
        client_id: The client's name for it.
        order_ids: Its orders, the working one first.
        created_ms: When it was accepted.
        done: Whether none of its orders is open any more.
        contingency: Whether its first order is the working one (OTO) or a leg (OCO).
        pays: Whether the legs sell what the working order bought.
    """

    list_id: int
    account: str
    symbol: str
    client_id: str
    order_ids: tuple[int, ...]
    created_ms: int
    done: bool = False
    contingency: str = ONE_CANCELS_THE_OTHER
    pays: bool = False

    @property
    def working_id(self) -> int | None:
        """The order that the legs wait for."""
        return self.order_ids[0] if self.contingency == ONE_TRIGGERS_THE_OTHER else None

    @property
    def leg_ids(self) -> tuple[int, ...]:
        """The orders of which one cancels the other."""
        return self.order_ids if self.working_id is None else self.order_ids[1:]


@dataclass(frozen=True, slots=True)
class AccountFill:
    """One account's side of a trade; `place_ms` is where the tape stood."""

    trade_id: int
    order_id: int
    client_id: str
    list_id: int
    account: str
    symbol: str
    side: Side
    price: int
    lots: int
    commission: int
    commission_asset: str
    is_maker: bool
    at_ms: int
    place_ms: int


@dataclass(frozen=True, slots=True)
class Prevented:
    """A trade of an account with itself that did not happen.

    Args:
        match_id: Its number.
        account: Whose both orders are.
        symbol: What they trade.
        taker_id: The order that came in.
        maker_id: The order that rested.
        mode: Which mode of self-trade prevention took effect.
        price: At which they would have traded, in ticks.
        lots: How much they would have traded.
        taker_lots: What the taker lost.
        maker_lots: What the maker lost.
        at_ms: When.
    """

    match_id: int
    account: str
    symbol: str
    taker_id: int
    maker_id: int
    mode: str
    price: int
    lots: int
    taker_lots: int
    maker_lots: int
    at_ms: int
