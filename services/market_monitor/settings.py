"""What only the market monitor needs to know."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from libs.common.settings import ServiceSettings


def _split(value: Any) -> Any:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


class Settings(ServiceSettings):
    """The market monitor's settings.

    Attributes:
        market_symbols: The share of the configured symbols that this process watches, separated by
            commas; empty: all of them.
        warmup_candles: Decision candles read from the exchange at the start; the widest default strategy needs 880.
        warmup_minutes: One-minute candles read at the start, for the volatility.
        quote_interval_ms: The least time between two published quotes of a symbol.
    """

    market_symbols: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    warmup_candles: int = Field(default=1_000, ge=1, le=10_000)
    warmup_minutes: int = Field(default=60, ge=1, le=10_000)
    quote_interval_ms: int = Field(default=50, ge=0, le=10_000)
