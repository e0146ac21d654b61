"""What only the market monitor needs to know."""

from pydantic import Field

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """The market monitor's settings.

    Attributes:
        market_symbols: The share of the configured symbols that this process watches; empty: all of them.
        warmup_candles: Decision candles read from the exchange at the start; the widest default strategy needs 635.
        warmup_minutes: One-minute candles read at the start, for the volatility.
        quote_interval_ms: The least time between two published quotes of a symbol.
    """

    market_symbols: tuple[str, ...] = ()
    warmup_candles: int = Field(default=1_000, ge=1, le=10_000)
    warmup_minutes: int = Field(default=60, ge=1, le=10_000)
    quote_interval_ms: int = Field(default=50, ge=0, le=10_000)
