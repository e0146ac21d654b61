"""What is judged, and the answers.

Invariant: a case holds everything its rules look at; a rule asks nothing else of the world.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from libs.trading.instruments import Instrument
from libs.trading.market import Quote, Side
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.reasons import RefusalReason
from libs.trading.risk.states import Role, TradingState

_ZERO = Decimal(0)

# Stands where no quote is known: implausible, so that whatever needs a quote refuses.
NO_QUOTE = Quote(symbol="", bid=_ZERO, ask=_ZERO, bid_quantity=_ZERO, ask_quantity=_ZERO, at_ms=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What somebody wants to be ordered; prices are multiples of the symbol's tick, exits have no stops.

    Attributes:
        trailing_distance: How far below the highest price the stop follows it; None: it stays.
    """

    account: str
    symbol: str
    side: Side
    role: Role
    price: Decimal
    proposed_at: datetime
    quality: int = 0
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What one account has and risks now; amounts in quote currency, maps by symbol.

    An equity of zero, or without its moment, is one that nobody knows yet: entries are refused.

    Attributes:
        equity: Marked to market, transfers excluded from gain and loss.
        equity_at: When it was marked.
        day_start_equity: The day's baseline.
        peak_24h_equity: The highest equity of the last 24 hours.
        free_quote: Free balance of the quote currency as the exchange shows it.
        positions: Quantity in base asset of each position that is not flat.
        positions_notional: What the positions are worth at their marks.
        open_entries: Notional of entries working at the exchange (their amount is locked there).
        reserved: Notional of approved entries that are not at the exchange yet.
        unknown: Notional of entries whose outcome is unknown.
        orders_last_minute: Orders and cancels sent in the last 60 s.
        last_entries: When the last entry was approved.
    """

    equity: Decimal = _ZERO
    equity_at: datetime | None = None
    day_start_equity: Decimal = _ZERO
    peak_24h_equity: Decimal = _ZERO
    free_quote: Decimal = _ZERO
    positions: Mapping[str, Decimal] = field(default_factory=dict)
    positions_notional: Decimal = _ZERO
    open_entries: Mapping[str, Decimal] = field(default_factory=dict)
    reserved: Mapping[str, Decimal] = field(default_factory=dict)
    unknown: Mapping[str, Decimal] = field(default_factory=dict)
    orders_last_minute: int = 0
    last_entries: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols that have, or may come to have, a position."""
        return frozenset((*self.positions, *self.open_entries, *self.reserved, *self.unknown))

    @property
    def pending_notional(self) -> Decimal:
        """What may still be taken from the free balance: reservations and orders of unknown outcome."""
        return sum(self.reserved.values(), _ZERO) + sum(self.unknown.values(), _ZERO)

    @property
    def notional(self) -> Decimal:
        """Everything at risk, the worst outcome of what is pending included."""
        return self.positions_notional + sum(self.open_entries.values(), _ZERO) + self.pending_notional


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """What is known of the symbol's market now; what is not known has its default here, and refuses.

    Attributes:
        instrument: The symbol's rules.
        quote: The last best bid and ask.
        quote_age_ms: The time since it was received.
        reachable: Whether the exchange answers.
        calm: Whether no anomaly (jump, gap, crossed book) is standing.
        volatility_rate: The market's volatility, as a fraction.
        trading: Whether the exchange's status of the symbol is TRADING and nothing halts it here.
        reference_price: What the exchange measures filters against; None where it is not known, then the mid.
    """

    instrument: Instrument
    quote: Quote = NO_QUOTE
    quote_age_ms: int | None = None
    reachable: bool = False
    calm: bool = False
    volatility_rate: Decimal | None = None
    trading: bool = False
    reference_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One proposal with all that its judgement depends on."""

    proposal: Proposal
    exposure: Exposure
    market: MarketView
    limits: RiskLimits
    state: TradingState
    now: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """The order that would be sent, before the rules about orders have passed.

    Attributes:
        quantity: In base asset, on the symbol's step.
        limit_price: The worst price, on the symbol's tick; None for a market order.
        notional: What is reserved for it, in quote currency: its worst case for an entry, its worth for an exit.
        reference_price: What the exchange measures filters against.
    """

    quantity: Decimal
    limit_price: Decimal | None
    notional: Decimal
    reference_price: Decimal


@dataclass(frozen=True, slots=True)
class Approved:
    """The order may be sent as it stands here, once; fields as in `Draft`."""

    quantity: Decimal
    limit_price: Decimal | None
    notional: Decimal


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is sent: which limit was not kept, and what was found."""

    reason: RefusalReason
    limit: str
    observed: str
