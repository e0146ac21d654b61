"""What a strategy or the position manager would like to do, and what it decided to hold."""

from pydantic import Field

from libs.common.contracts.event import Event
from libs.common.contracts.fields import AccountName, Exact, Interval, Positive, Price, Symbol, Text, UtcTime
from libs.common.contracts.vocabulary import Role, Side


class SignalGenerated(Event):
    """A wish to trade. The risk manager answers it once for every account that subscribes to its strategy.

    Attributes:
        signal_id: Identifies the wish: strategy, symbol and candle, or the exit rule and its position.
        role: ENTRY, EXIT (strategy or time), or LIQUIDATION.
        account: Set when only this account is meant (exits of its position); None for every subscriber.
        reference_price: The price it was decided at.
        stop_loss: Where protection would sell at a loss; `take_profit` where at a gain. None on exits.
        trailing_distance: How far below the highest price the stop follows it; None: it stays where it is.
        quality_score: The rule's own score from 0 to 100; not a probability.
        confidence_score: A calibrated probability from 0 to 100, or None where there is no model.
        reasons: Why, in stable words, most important first.
        candle_open_at: The candle it was decided on; None for exits that no candle caused.
        bid: The best bid at the decision, `ask` likewise, as far as known.
    """

    signal_id: str = Field(min_length=1, max_length=120)
    strategy: str = Field(min_length=1, max_length=60)
    symbol: Symbol
    side: Side
    role: Role
    account: AccountName | None = None
    reference_price: Positive
    stop_loss: Price | None = None
    take_profit: Price | None = None
    trailing_distance: Price | None = None
    quality_score: int | None = Field(default=None, ge=0, le=100)
    confidence_score: int | None = Field(default=None, ge=0, le=100)
    reasons: tuple[Text, ...] = ()
    interval_s: Interval | None = None
    candle_open_at: UtcTime | None = None
    bid: Price | None = None
    ask: Price | None = None

    @property
    def key(self) -> str:
        """Ordered per symbol."""
        return self.symbol

    @property
    def natural_key(self) -> str:
        """The wish's own identity: a replica that decides again says the same."""
        return self.signal_id


class SignalHeld(Event):
    """A decision not to trade: recorded when the reason changes and every trading interval, never answered."""

    strategy: str = Field(min_length=1, max_length=60)
    symbol: Symbol
    interval_s: Interval
    candle_open_at: UtcTime
    close: Positive
    reasons: tuple[Text, ...]
    quality_score: int | None = Field(default=None, ge=0, le=100)
    indicators: dict[str, Exact] = Field(default_factory=dict, max_length=20)

    @property
    def key(self) -> str:
        """Ordered per symbol."""
        return self.symbol

    @property
    def natural_key(self) -> str:
        """One hold a strategy and candle."""
        return f"{self.strategy}|{self.symbol}|{self.interval_s}|{self.candle_open_at.isoformat()}"
