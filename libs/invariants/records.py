"""The rows that the checks compare: what the exchange wrote, what our tables say.

Invariant: a `Look` is ordered in time: `before` was read, then a pause, then our tables in one snapshot, then `after`.
What `before` has must be in the tables, and what the tables have must be in `after`: so nothing has to stand still.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

FillKey = tuple[str, str, int, str]
"""Account, the exchange's name of the symbol, trade id, the exchange's order id."""

_OURS: Final = re.compile(r"^ct([EPXLO])-[a-z0-9]{6}-")
_OPEN_AT_THE_EXCHANGE: Final = frozenset({"NEW", "PENDING_NEW", "PARTIALLY_FILLED"})


def exchange_symbol(symbol: str) -> str:
    """Return the exchange's name of a symbol: `BTC/USDT` is `BTCUSDT` there."""
    return symbol.replace("/", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthOrder:
    """An order as the exchange has it."""

    order_id: int
    account: str
    symbol: str
    client_order_id: str
    side: str
    quantity: Decimal
    executed_quantity: Decimal
    status: str
    locked: Decimal
    order_list_id: int
    accepted_at_ms: int

    @property
    def role_letter(self) -> str | None:
        """Why it exists, from its client id: E, P, X, L; None: it is no order of this system."""
        match = _OURS.match(self.client_order_id)
        return match[1] if match else None

    @property
    def is_ours(self) -> bool:
        """Whether a system like this one sent it."""
        return self.role_letter is not None

    @property
    def is_open(self) -> bool:
        """Whether it may still execute."""
        return self.status in _OPEN_AT_THE_EXCHANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthFill:
    """One account's side of a trade as the exchange has it."""

    account: str
    symbol: str
    trade_id: int
    order_id: int
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str

    @property
    def key(self) -> FillKey:
        """What identifies it in our tables too."""
        return (self.account, self.symbol, self.trade_id, str(self.order_id))


@dataclass(frozen=True, slots=True)
class TruthBalance:
    """What the exchange holds of an asset for an account."""

    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


@dataclass(slots=True, kw_only=True)
class Truth:
    """The exchange's state at one line of its journal.

    Attributes:
        sequence: That line.
        history_from_ms: The journal has every order and fill since then; 0: since the very beginning.
    """

    sequence: int = 0
    history_from_ms: int = 0
    orders: dict[int, TruthOrder] = field(default_factory=dict)
    fills: dict[FillKey, TruthFill] = field(default_factory=dict)
    balances: dict[tuple[str, str], TruthBalance] = field(default_factory=dict)

    def copy(self) -> "Truth":
        """Return the state as it is now, unmoved by what is read later."""
        return Truth(
            sequence=self.sequence,
            history_from_ms=self.history_from_ms,
            orders=dict(self.orders),
            fills=dict(self.fills),
            balances=dict(self.balances),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An intent of the executor and what became of it.

    Attributes:
        chain_id: The entry that it belongs to.
        carried: Dust of earlier entries of the symbol that an exit of this chain took over.
    """

    intent_id: str
    chain_id: str
    account: str
    symbol: str
    client_order_id: str
    side: str
    role: str
    strategy: str
    status: str
    quantity: Decimal
    filled_quantity: Decimal
    approved: bool
    carried: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """An execution as one of our tables has it; `base_change` only in the position manager's."""

    account: str
    symbol: str
    trade_id: int
    exchange_order_id: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str
    occurred_at: datetime
    base_change: Decimal = Decimal(0)

    @property
    def key(self) -> FillKey:
        """What identifies it at the exchange too."""
        return (self.account, exchange_symbol(self.symbol), self.trade_id, self.exchange_order_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """A position of the ledger; `mark_price` is the last bid, None where nobody knows it."""

    account: str
    symbol: str
    quantity: Decimal
    is_open: bool
    mark_price: Decimal | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """What the ledger says the exchange holds, and what was there before the system's first fill."""

    account: str
    asset: str
    opening: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementRow:
    """What moved a balance without an order of ours: a transfer, or a difference that a person accepted."""

    account: str
    asset: str
    delta: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRow:
    """An approval of the risk manager."""

    intent_id: str
    account: str
    symbol: str
    side: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltRow:
    """A latched halt; without a symbol and a strategy it covers the account."""

    halt_id: str
    account: str
    symbol: str | None
    strategy: str | None
    halted_at: datetime
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Everything our tables say, read in one snapshot of the database.

    Attributes:
        fills: The executor's, `booked_fills` the position manager's; `executor_balances` and `balances`,
            `executor_movements` and `movements` likewise.
        recorded_offsets: Last offset in the audit log by topic and partition.
    """

    taken_at: datetime
    orders: Sequence[OrderRow] = ()
    fills: Sequence[FillRow] = ()
    booked_fills: Sequence[FillRow] = ()
    positions: Sequence[PositionRow] = ()
    balances: Sequence[BalanceRow] = ()
    executor_balances: Sequence[BalanceRow] = ()
    movements: Sequence[MovementRow] = ()
    executor_movements: Sequence[MovementRow] = ()
    approvals: Sequence[ApprovalRow] = ()
    halts: Sequence[HaltRow] = ()
    recorded_offsets: Mapping[tuple[str, int], int] = field(default_factory=dict)

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts that the system trades; others at the exchange are none of its business."""
        return frozenset(row.account for row in self.balances)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one round of checks compares.

    Attributes:
        symbols: The configured symbols, whose assets must be known.
        ends: Kafka's end offsets by topic and partition, read with `before`; empty: not compared.
        recv_window_ms: How long after its signing the exchange accepts an order.
    """

    before: Truth
    books: Books
    after: Truth
    symbols: Sequence[str]
    ends: Mapping[tuple[str, int], int] = field(default_factory=dict)
    recv_window_ms: int = 1_000
