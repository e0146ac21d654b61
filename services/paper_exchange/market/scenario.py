"""What is to happen to a generated market on demand: crashes, gaps, halts and silences.

Invariant: every effect is a function of market time alone, so a seed and a scenario always give the same prices.

A scenario is a JSON file; all times are seconds of market time after the first start, all changes per cent:
`{"crashes": [{"at_s": 30, "change_pct": -15, "over_s": 5}], "gaps": [{"at_s": 60, "change_pct": 2}],
"halts": [{"at_s": 90, "for_s": 10}], "silences": [{"at_s": 120, "for_s": 10}]}`.
A crash moves all prices evenly over its length and they stay there; a gap moves them at once; in a halt nothing trades
and orders are refused with "Market is closed."; in a silence nothing is sent, but orders are taken.
"""

from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common.errors import ConfigurationError

_LENGTH_S_MAX = 86_400
_MS = 1_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at_s: Decimal = Field(ge=0, le=_LENGTH_S_MAX)


class Crash(_Part):
    """A change of all prices, evenly over a time."""

    change_pct: Decimal = Field(gt=-90, le=900)
    over_s: Decimal = Field(gt=0, le=_LENGTH_S_MAX)


class Gap(_Part):
    """A change of all prices at once."""

    change_pct: Decimal = Field(gt=-90, le=900)


class Pause(_Part):
    """A time without a trade or a quote."""

    for_s: Decimal = Field(gt=0, le=_LENGTH_S_MAX)


class Scenario(BaseModel):
    """Everything that is to happen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crashes: tuple[Crash, ...] = ()
    gaps: tuple[Gap, ...] = ()
    halts: tuple[Pause, ...] = ()
    silences: tuple[Pause, ...] = ()

    @property
    def length_ms(self) -> int:
        """Market time after which nothing changes any more."""
        ends = [crash.at_s + crash.over_s for crash in self.crashes]
        ends += [gap.at_s for gap in self.gaps]
        ends += [pause.at_s + pause.for_s for pause in (*self.halts, *self.silences)]
        return int(max(ends, default=Decimal(0)) * _MS)

    def factor_at(self, at_ms: int) -> Decimal:
        """Return by what the undisturbed prices are multiplied."""
        at_s = Decimal(at_ms) / _MS
        factor = Decimal(1)
        for crash in self.crashes:
            progress = min(Decimal(1), max(Decimal(0), (at_s - crash.at_s) / crash.over_s))
            factor *= 1 + crash.change_pct / 100 * progress
        for gap in self.gaps:
            if at_s >= gap.at_s:
                factor *= 1 + gap.change_pct / 100
        return factor

    def is_quiet(self, at_ms: int) -> bool:
        """Return whether nothing happens on the market."""
        at_s = Decimal(at_ms) / _MS
        return any(pause.at_s < at_s <= pause.at_s + pause.for_s for pause in (*self.halts, *self.silences))


def load_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ConfigurationError: The file is missing or wrong.
    """
    expected = "a scenario as services/paper_exchange/market/scenario.py describes"
    try:
        return Scenario.model_validate_json(path.read_text())
    except OSError as error:
        raise ConfigurationError(where=str(path), expected=expected, found=error.strerror or "no file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{path}: {'.'.join(map(str, first['loc']))}"
        raise ConfigurationError(where=where, expected=expected, found=first["msg"]) from error
