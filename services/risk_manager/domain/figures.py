"""The figures that decisions rest on: of an account as they are stored, of a market as they were observed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from services.risk_manager.domain.claims import Claim, HeldPosition
from services.risk_manager.domain.trading_state import AccountState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMark:
    """The last equity mark of an account.

    Attributes:
        quote_free: Quote currency not locked in orders, when it was marked.
        bids: The best bid of each symbol that has a position.
    """

    account: str
    equity: Decimal
    confirmed: bool
    marked_at: datetime
    day: date
    day_start_equity: Decimal
    peak_24h: Decimal
    quote_free: Decimal
    bids: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentOrders:
    """Approved orders of the last minute, and when each symbol's last entry was approved."""

    orders_last_minute: int = 0
    last_entries: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """What is stored of an account at the moment of a decision.

    Attributes:
        decided: The signal has its answer for this account.
        mark: The last equity mark; None before the first one.
        positions: Flat ones included.
        claims: Those that are not released.
    """

    decided: bool
    state: AccountState
    mark: StoredMark | None
    positions: Sequence[HeldPosition]
    claims: Sequence[Claim]
    recent: RecentOrders


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """What is known of a symbol's market now; see `libs.trading.risk.MarketView`."""

    reachable: bool = False
    calm: bool = False
    trading: bool = False
    data_age_ms: int | None = None
    volatility_rate: Decimal | None = None
    clock_skew_ms: int = 0
