"""The sections of the configuration: every key with its range, default and meaning."""

import hashlib
import json
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator

from libs.common.configuration.market import MarketSection
from libs.common.configuration.notifications import NotificationsSection, time_zone
from libs.common.configuration.presets import TradingMode
from libs.common.configuration.safety import SafetySection
from libs.common.configuration.section import (
    Multiple,
    Percentage,
    Section,
    distinct,
    plain,
    written_number,
)
from libs.common.contracts.fields import AccountName, Symbol

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

    accounts: tuple[AccountName, ...] = Field(default=("main",), min_length=1, max_length=20)
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

    @field_validator("symbols")
    @classmethod
    def _symbols_share_their_quote(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        distinct(symbols)
        quotes = {symbol.split("/")[1] for symbol in symbols}
        if len(quotes) > 1:
            message = f"must share one quote currency, found {', '.join(sorted(quotes))}"
            raise ValueError(message)
        return symbols

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
