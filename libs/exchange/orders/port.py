"""What the executor asks of an exchange, and the typed answers.

Invariant: quantities and prices travel as the exact digits of a Decimal, from here to the wire and back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from libs.exchange.instruments import Listing
from libs.exchange.limits import Purpose
from libs.exchange.outcomes import CancelVerdict, Finding, Outcome
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What fences a request: the exchange refuses it once `at_ms + recv_window_ms` has passed."""

    at_ms: int
    recv_window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """One order as it is to be sent.

    Attributes:
        time_in_force: `GTC`, `IOC` or `FOK`; None for types that have none.
    """

    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    client_order_id: str
    signing: Signing
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOco:
    """A sell list of two legs, one of which cancels the other: a maker order above, a stop below.

    Attributes:
        below_price: Limit of the stop; None: it sells at the market.
    """

    symbol: str
    quantity: Decimal
    list_client_order_id: str
    above_client_order_id: str
    above_price: Decimal
    below_client_order_id: str
    below_stop_price: Decimal
    signing: Signing
    below_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The leg that sells with a profit: a maker order at `price`."""

    client_order_id: str
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The leg that sells at a loss when the market falls to `stop_price`: at `price` at least, or at the market."""

    client_order_id: str
    stop_price: Decimal
    price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBracket:
    """A purchase and its exits as one list: the exits stand as soon as all of it has filled, and never otherwise.

    Attributes:
        quantity: How much is bought, all of it at once or nothing.
        price: At most.
        exit_quantity: How much the exits sell; None: what was bought, less the commission if the account has no free
            coins that pay it. An exit of more than there is ends as soon as it is due, with the other one.
        target: None: the stop stands alone.
    """

    symbol: str
    list_client_order_id: str
    client_order_id: str
    quantity: Decimal
    price: Decimal
    exit_quantity: Decimal | None
    stop: Stop
    signing: Signing
    target: Target | None = None

    @property
    def orders(self) -> int:
        """How many orders it has."""
        return 2 if self.target is None else 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeReport:
    """One execution as the exchange tells it; `client_order_id` is None where the source has none."""

    symbol: str
    trade_id: int
    exchange_order_id: str
    client_order_id: str | None
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What one source at the exchange says about an order.

    Attributes:
        client_order_id: The order's own id, also in the answer to its cancel.
        order_list_id: The exchange's id of its list; None: it is in none.
        execution_id: Of the stream's report; -1 from other sources.
        reason: Why it ended early, in the exchange's words.
        quantity: 0 while it waits to sell what its list is still to buy.
        trades: Executions that came along.
    """

    symbol: str
    exchange_order_id: str
    client_order_id: str
    order_list_id: str | None
    status: OrderStatus
    side: Side
    order_type: OrderType
    quantity: Decimal
    filled_quantity: Decimal
    filled_amount: Decimal
    at_ms: int
    execution_id: int = -1
    reason: str = ""
    trades: tuple[TradeReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What became of an order or list that was sent, with the reports that came along."""

    outcome: Outcome
    reports: tuple[OrderReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """What became of a cancel, with the final states that came along."""

    verdict: CancelVerdict
    reports: tuple[OrderReport, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """The answer to a query for one order."""

    finding: Finding
    report: OrderReport | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account holds of an asset."""

    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


class OrderGateway(Protocol):
    """One account at the exchange.

    Orders and cancels never raise for what the exchange or the network does: their result says what is known. Reads
    raise `RetryableError` when they were not answered. Nothing is ever sent twice by itself.
    """

    @property
    def clock_offset_ms(self) -> int | None:
        """The exchange's clock minus ours; None before the first measurement."""
        ...

    @property
    def identity(self) -> str | None:
        """The exchange's own id of the account; None before the first balances, or where it tells none."""
        ...

    def wait_s(self, purpose: Purpose, *, orders: int = 0) -> float:
        """Return the seconds until this purpose may ask, or send this many orders; 0: now."""
        ...

    async def place(self, order: NewOrder, *, purpose: Purpose) -> Placement:
        """Send an order, once."""
        ...

    async def place_oco(self, oco: NewOco) -> Placement:
        """Send an order list, once."""
        ...

    async def place_bracket(self, bracket: NewBracket) -> Placement:
        """Send an entry with its exits as one list, once.

        The reports show the exits as they were accepted, waiting, even if the entry filled at once: ask for them.
        """
        ...

    async def cancel(self, symbol: str, client_order_id: str) -> Cancellation:
        """Cancel one order by its client id."""
        ...

    async def cancel_list(self, symbol: str, list_client_order_id: str) -> Cancellation:
        """Cancel an order list by its client id."""
        ...

    async def order(self, symbol: str, client_order_id: str) -> Lookup:
        """Ask for an order by its client id."""
        ...

    async def order_by_exchange_id(self, symbol: str, exchange_order_id: str) -> Lookup:
        """Ask for an order by the exchange's id."""
        ...

    async def open_orders(self, symbol: str, *, purpose: Purpose = Purpose.RECONCILIATION) -> Sequence[OrderReport]:
        """Return the orders of the account that are open."""
        ...

    async def trades(self, symbol: str, *, from_id: int | None) -> Sequence[TradeReport]:
        """Return up to 1000 executions of the account, oldest first: from a trade id on, or the most recent."""
        ...

    async def trades_of(self, symbol: str, exchange_order_id: str) -> Sequence[TradeReport]:
        """Return the executions of one order."""
        ...

    async def balances(self) -> Mapping[str, Balance]:
        """Return what the account holds, by asset; assets of which it holds nothing may be missing."""
        ...

    async def measure_clock(self) -> int:
        """Ask the exchange's clock and return its offset from ours, in ms."""
        ...

    async def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing]:
        """Return the trading rules of these symbols."""
        ...
