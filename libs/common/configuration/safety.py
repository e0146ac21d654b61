"""The section `safety`: what no strategy decides.

Invariant: every threshold has a default, so that none can be forgotten, and none may be zero where zero means nothing.
"""

from decimal import Decimal

from pydantic import Field, model_validator

from libs.common.configuration.section import DECIMALS_MAX, Fraction, Percentage, Section
from libs.common.contracts.vocabulary import StopTrigger


class SafetySection(Section):
    """Thresholds of the five safety checks and of the emergency triggers."""

    data_age_ms_max: int = Field(default=5_000, ge=100, le=600_000, description="Older market data blocks entries.")
    equity_age_s_max: int = Field(default=5, ge=1, le=600, description="Older equity blocks entries.")
    equity_age_s_reducing: int = Field(default=30, ge=2, le=3_600, description="Older equity means REDUCING.")
    volatility_rate_max: Fraction = Field(
        default=Decimal("0.02"), description="Standard deviation of one-minute returns that is no longer calm."
    )
    spread_rate_max: Fraction = Field(default=Decimal("0.005"), description="Spread over mid that blocks entries.")
    jump_rate_max: Fraction = Field(default=Decimal("0.03"), description="Move within jump_window_s that is a jump.")
    jump_window_s: int = Field(default=10, ge=1, le=3_600, description="The window of jump_rate_max.")
    calm_after_s: int = Field(
        default=10, ge=1, le=3_600, description="Quiet time before a market counts as calm again."
    )
    clock_skew_ms_max: int = Field(default=500, ge=10, le=1_000, description="Larger differences block entries.")
    price_collar_rate: Fraction = Field(
        default=Decimal("0.001"), description="How far beyond the best price an entry's limit may stand."
    )
    order_notional_max: Decimal = Field(
        default=Decimal(100_000),
        gt=0,
        le=10**12,
        allow_inf_nan=False,
        decimal_places=DECIMALS_MAX,
        description="Largest order in the quote currency.",
    )
    exposure_pct_max: Percentage = Field(
        default=Decimal(100), description="Positions, open and unknown entries together, as a share of equity."
    )
    orders_per_minute_max: int = Field(default=60, ge=1, le=1_000, description="Entries an account may send a minute.")
    messages_per_minute_max: int = Field(
        default=600, ge=10, le=100_000, description="Orders and cancels an account may send in any minute."
    )
    strategy_messages_per_minute_max: int = Field(
        default=300, ge=10, le=100_000, description="As many of one strategy's stop its entries for the moment."
    )
    messages_kept_rate: Fraction = Field(
        default=Decimal("0.5"), description="Part of messages_per_minute_max that entries leave to cancels and exits."
    )
    duplicate_window_s: int = Field(default=1, ge=0, le=3_600, description="Same symbol and side again: refused.")
    signal_age_s_max: int = Field(default=5, ge=1, le=3_600, description="Older signals are refused.")
    daily_loss_warning_fraction: Fraction = Field(
        default=Decimal("0.8"), description="Share of the daily loss limit at which DAILY_LOSS_WARNING is sent."
    )
    drawdown_pct_max: Percentage = Field(
        default=Decimal(10), description="Fall from the highest equity since the last start that means REDUCING."
    )
    loss_streak_max: int = Field(
        default=20, ge=1, le=10_000, description="Losing round trips in a row that mean REDUCING."
    )
    repeated_trips_max: int = Field(
        default=5,
        ge=1,
        le=10_000,
        description="Round trips in a row within one decision candle that halt their strategy.",
    )
    refusals_max: int = Field(
        default=5, ge=1, le=1_000, description="Orders refused by the exchange that halt, of the last refusals_of."
    )
    refusals_of: int = Field(default=10, ge=1, le=1_000, description="The orders among which refusals_max counts.")
    refusals_window_s: int = Field(default=300, ge=1, le=86_400, description="The window of refusals_max.")
    api_lost_reducing_s: int = Field(default=30, ge=1, le=3_600, description="API loss until REDUCING.")
    api_lost_halted_s: int = Field(default=600, ge=2, le=86_400, description="API loss until HALTED.")
    crashes_max: int = Field(default=3, ge=1, le=100, description="More restarts of a process are SYSTEM_ERROR.")
    crashes_window_s: int = Field(default=600, ge=10, le=86_400, description="The window of crashes_max.")
    liquidate_on: tuple[StopTrigger, ...] = Field(
        default=(), description="Emergency triggers that also sell every position; not offered on API loss."
    )

    @model_validator(mode="after")
    def _refusals_can_be_reached(self) -> "SafetySection":
        if self.refusals_max > self.refusals_of:
            message = f"refusals_max: at most refusals_of, found {self.refusals_max} of {self.refusals_of}"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _liquidation_needs_the_api(self) -> "SafetySection":
        if StopTrigger.API_CONNECTION_LOST in self.liquidate_on:
            message = "liquidate_on: API_CONNECTION_LOST cannot liquidate, nothing can be sold without the exchange"
            raise ValueError(message)
        return self
