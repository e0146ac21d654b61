"""The section of the paper exchange's market: where its prices come from, and what happens on a generated one."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from libs.common.configuration.section import DECIMALS_MAX, Section

Moment = Annotated[Decimal, Field(ge=0, le=86_400, decimal_places=DECIMALS_MAX)]
Duration = Annotated[Decimal, Field(gt=0, le=86_400, decimal_places=DECIMALS_MAX)]
Change = Annotated[Decimal, Field(gt=-90, le=900, decimal_places=DECIMALS_MAX)]


class Crash(Section):
    """A move of all prices of the generated market, evenly over a time; they stay there."""

    at_s: Moment = Field(description="Market seconds after the first start.")
    change_pct: Change = Field(description="How far, in per cent.")
    over_s: Duration = Field(description="How long it takes.")


class Gap(Section):
    """A move of all prices of the generated market at once."""

    at_s: Moment = Field(description="Market seconds after the first start.")
    change_pct: Change = Field(description="How far, in per cent.")


class Pause(Section):
    """A time in which the generated market stands still."""

    at_s: Moment = Field(description="Market seconds after the first start.")
    for_s: Duration = Field(description="How long it lasts.")


class GeneratedSection(Section):
    """What is to happen on the generated market."""

    crashes: tuple[Crash, ...] = Field(default=(), max_length=100, description="Moves over a time.")
    gaps: tuple[Gap, ...] = Field(default=(), max_length=100, description="Moves at once.")
    halts: tuple[Pause, ...] = Field(default=(), max_length=100, description="The exchange refuses orders.")
    silences: tuple[Pause, ...] = Field(default=(), max_length=100, description="No data, but orders are taken.")


class MarketSection(Section):
    """Where prices come from on the paper exchange."""

    source: Literal["recorded", "generated", "binance"] = Field(default="recorded", description="The paper market.")
    seed: int = Field(default=1, ge=0, le=2**31 - 1, description="Seed of the generated market.")
    speed: Decimal = Field(
        default=Decimal(1),
        ge=0,
        le=1_000,
        decimal_places=DECIMALS_MAX,
        description="Market seconds a second; 0 pauses it.",
    )
    generated: GeneratedSection = Field(default_factory=GeneratedSection)
