"""The sections of the configuration: every key with its range, default and meaning."""

import hashlib
import json
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, field_validator, model_validator

from libs.common.configuration.keys import over
from libs.common.configuration.market import MarketSection
from libs.common.configuration.notifications import NotificationsSection, time_zone
from libs.common.configuration.presets import TradingMode
from libs.common.configuration.safety import SafetySection
from libs.common.configuration.section import (
    Multiple,
    Percentage,
    Section,
    distinct,
    keys_of,
    part_of,
    plain,
    written_number,
)
from libs.common.contracts.fields import AccountName, Symbol

ACCOUNTS_MAX: Final = 20

Parameter = Annotated[
    Decimal | int | str, BeforeValidator(written_number), PlainSerializer(plain, return_type=Any, when_used="json")
]
"""What a strategy's own parameter may be; a decimal comes back from its text as the same number."""


class EngineSection(Section):
    """The specification's `engine`."""

    trading_mode: TradingMode = Field(
        default="CONSERVATIVE", description="A preset of the risk figures; a number given explicitly wins."
    )
    trading_interval: int = Field(default=300, ge=1, le=86_400, description="The decision candle in seconds.")
    max_concurrent_positions: int = Field(default=5, ge=1, le=100, description="Positions an account may hold at once.")
    enable_paper_trading: bool = Field(
        default=True,
        description="true: the paper exchange. false: the real one, which also needs key files and arming.",
    )

    @field_validator("trading_interval")
    @classmethod
    def _divides_a_day(cls, interval_s: int) -> int:
        if 86_400 % interval_s:
            message = "must divide a day, so that candles of all days start at the same times"
            raise ValueError(message)
        return interval_s


class RiskManagementSection(Section):
    """The specification's `risk_management`; percentages."""

    daily_loss_limit_pct: Percentage = Field(
        default=Decimal("3.0"), description="Loss of a UTC day, as a share of its first equity, at which trading halts."
    )
    position_size_pct: Percentage = Field(
        default=Decimal("2.0"), description="Notional of an entry as a share of the account's equity."
    )
    stop_loss_pct: Percentage = Field(default=Decimal("1.0"), description="Protection below the entry price.")
    take_profit_pct: Percentage = Field(default=Decimal("2.0"), description="Target above the entry price.")


class SizingSection(Section):
    """How much an entry buys; never more than risk_management.position_size_pct."""

    method: Literal["fixed_fraction", "volatility_target", "risk_per_trade"] = Field(
        default="fixed_fraction",
        description="position_size_pct of the equity, or less where the market is wild or the stop is far.",
    )
    volatility_pct: Percentage = Field(
        default=Decimal("0.05"),
        description="With volatility_target: how much a position may scatter in a day, as a share of the equity.",
    )
    risk_pct: Percentage = Field(
        default=Decimal("0.02"),
        description="With risk_per_trade: what a position loses at its stop, fees included, as a share of the equity.",
    )


class StrategySection(Section):
    """Which rules decide, and where a position's exits stand."""

    name: str = Field(
        default="ema_cross", min_length=1, max_length=60, description="One of the strategies of docs/strategies.md."
    )
    parameters: dict[str, Parameter] = Field(
        default_factory=dict, max_length=50, description="The strategy's own parameters; its defaults otherwise."
    )
    stops: Literal["percent", "atr"] = Field(
        default="percent", description="Exits by stop_loss_pct and take_profit_pct, or by multiples of the ATR."
    )
    stop_atr: Multiple = Field(default=Decimal(2), description="With atr: distance of the stop in ATRs.")
    take_atr: Multiple = Field(default=Decimal(4), description="With atr: distance of the target in ATRs.")
    quality_min: int = Field(default=50, ge=1, le=100, description="Signals of a lower quality score are held.")
    sizing: SizingSection = Field(default_factory=SizingSection, description="How much an entry buys.")
    exit_after_s: int | None = Field(
        default=None, ge=1, le=10**9, description="A position is closed after this time; null: never for its age."
    )


class ExchangeSection(Section):
    """How the exchange is used."""

    accounts: tuple[AccountName, ...] = Field(default=("main",), min_length=1, max_length=ACCOUNTS_MAX)
    recv_window_ms: int = Field(default=1_000, ge=100, le=5_000, description="The exchange refuses an older request.")
    approval_lifetime_s: int = Field(default=2, ge=1, le=60, description="An approval not sent by then is void.")
    entry_lists: bool = Field(
        default=True,
        description="An entry and its exits are one order list where the symbol allows it, else they follow its fill.",
    )

    @field_validator("accounts")
    @classmethod
    def _accounts_differ(cls, accounts: tuple[str, ...]) -> tuple[str, ...]:
        return distinct(accounts)


class DisplaySection(Section):
    """How things are shown to people."""

    language: Literal["en", "ko"] = Field(default="en", description="Language of notifications.")
    timezone: str = Field(default="UTC", max_length=60, description="Time zone of times shown to people.")

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        return time_zone(name)


OWN_SAFETY: Final = (
    "price_collar_rate",
    "order_notional_max",
    "exposure_pct_max",
    "orders_per_minute_max",
    "messages_per_minute_max",
    "strategy_messages_per_minute_max",
    "messages_kept_rate",
    "duplicate_window_s",
    "signal_age_s_max",
    "equity_age_s_max",
    "equity_age_s_reducing",
    "daily_loss_warning_fraction",
    "drawdown_pct_max",
    "loss_streak_max",
    "repeated_trips_max",
    "refusals_max",
    "refusals_of",
    "refusals_window_s",
    "liquidate_on",
)
"""What an account may have of its own in `safety`; the rest is about the market and the processes, which all share."""

AccountSection = part_of(
    "AccountSection",
    "What an account has of its own; what it does not say holds as in the common sections.",
    engine=keys_of(EngineSection, "trading_mode", "max_concurrent_positions"),
    risk_management=keys_of(RiskManagementSection, "daily_loss_limit_pct", "position_size_pct"),
    strategy=part_of("OwnStrategySection", "How much an entry buys.", sizing=keys_of(SizingSection)),
    safety=keys_of(SafetySection, *OWN_SAFETY),
)


class TradingConfiguration(Section):
    """The whole configuration."""

    engine: EngineSection = Field(default_factory=EngineSection)
    risk_management: RiskManagementSection = Field(default_factory=RiskManagementSection)
    symbols: tuple[Symbol, ...] = Field(default=("BTC/USDT", "ETH/USDT"), min_length=1, max_length=100)
    notifications: NotificationsSection = Field(default_factory=NotificationsSection)
    strategy: StrategySection = Field(default_factory=StrategySection)
    market: MarketSection = Field(default_factory=MarketSection)
    safety: SafetySection = Field(default_factory=SafetySection)
    exchange: ExchangeSection = Field(default_factory=ExchangeSection)
    display: DisplaySection = Field(default_factory=DisplaySection)
    accounts: dict[AccountName, AccountSection] = Field(  # type: ignore[valid-type] # made of the sections above
        default_factory=dict,
        max_length=ACCOUNTS_MAX,
        description="What an account has of its own, by its name; without exchange.accounts these names are all.",
    )

    @field_validator("symbols")
    @classmethod
    def _symbols_share_their_quote(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        distinct(symbols)
        quotes = {symbol.split("/")[1] for symbol in symbols}
        if len(quotes) > 1:
            message = f"must share one quote currency, found {', '.join(sorted(quotes))}"
            raise ValueError(message)
        return symbols

    @field_validator("accounts")
    @classmethod
    def _accounts_that_say_nothing_are_left_out(cls, accounts: dict[str, Section]) -> dict[str, Section]:
        return {name: own for name, own in accounts.items() if own.model_dump()}

    @model_validator(mode="after")
    def _each_account_is_whole(self) -> "TradingConfiguration":
        for name in self.accounts:
            try:
                self.for_account(name)
            except ValidationError as error:
                message = f"accounts.{name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
                raise ValueError(message) from error
        return self

    def for_account(self, account: str) -> "TradingConfiguration":
        """Return the configuration as it holds for an account: its own values over the common ones."""
        own = self.accounts.get(account)
        if own is None:
            return self
        return TradingConfiguration.model_validate(over(self.model_dump(exclude={"accounts"}), own.model_dump()))

    @property
    def quote_asset(self) -> str:
        """The currency in which equity and PnL are counted."""
        return self.symbols[0].split("/")[1]

    @property
    def canonical(self) -> str:
        """The one JSON text of these values."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form: services that disagree on it must not trade together."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()
