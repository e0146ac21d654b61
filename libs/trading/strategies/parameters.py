"""Parameters of strategies: each with its default, its range and its meaning in one place.

Invariant: parameters that exist are valid; what is out of range is refused by name, with what was expected. The
documents' tables are held to what is declared here.
"""

from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from math import nan
from typing import Any, Protocol

PERIOD_MAX = 1000  # five of them warm up 5,000 candles: more history than an exchange serves in reasonable time


class Range(Protocol):
    """The values that a parameter may have."""

    def checked(self, name: str, value: object) -> Any:
        """Return the value in the type that strategies use.

        Raises:
            ValueError: It is out of range.
        """
        ...


@dataclass(frozen=True, slots=True)
class WholeNumbers:
    """Whole numbers from `lowest` to `highest`."""

    lowest: int
    highest: int

    def __str__(self) -> str:
        return f"a whole number from {self.lowest} to {self.highest}"

    def checked(self, name: str, value: object) -> int:
        """Return the value (see `Range`)."""
        if not isinstance(value, int) or isinstance(value, bool) or not self.lowest <= value <= self.highest:
            raise ValueError(f"{name}: expected {self}, found {value!r}")
        return value


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers between two bounds, which belong to them only `with_bounds`."""

    above: float
    below: float
    with_bounds: bool = False

    def __str__(self) -> str:
        if self.with_bounds:
            return f"a number from {self.above:g} to {self.below:g}"
        return f"a number above {self.above:g} and below {self.below:g}"

    def checked(self, name: str, value: object) -> float:
        """Return the value (see `Range`)."""
        if not self._hold(_number(value)):
            raise ValueError(f"{name}: expected {self}, found {value!r}")
        return float(_number(value))

    def _hold(self, value: float) -> bool:
        return self.above <= value <= self.below if self.with_bounds else self.above < value < self.below


@dataclass(frozen=True, slots=True)
class Choices:
    """The members of an enumeration, by their names in the configuration."""

    kind: type[StrEnum]

    def __str__(self) -> str:
        return f"one of {', '.join(self.kind)}"

    def checked(self, name: str, value: object) -> StrEnum:
        """Return the value (see `Range`)."""
        if not isinstance(value, str) or value not in tuple(self.kind):
            raise ValueError(f"{name}: expected {self}, found {value!r}")
        return self.kind(value)


def _number(value: object) -> float:
    """Return a value as it compares with numbers, NaN where it is none; a whole number may have any size."""
    if isinstance(value, bool):
        return nan
    if isinstance(value, Decimal):
        return nan if value.is_nan() else float(value)
    return value if isinstance(value, int | float) else nan


def parameter(default: Any, meaning: str, values: Range) -> Any:
    """Return a field of `Parameters`."""
    return field(default=default, metadata={"meaning": meaning, "range": values})


def period(default: int, meaning: str, *, lowest: int = 1) -> Any:
    """Return a field that counts candles."""
    return parameter(default, meaning, WholeNumbers(lowest, PERIOD_MAX))


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What all parameters have in common. Without slots, because the consensus inherits from several of them."""

    def __post_init__(self) -> None:
        for declared in fields(self):
            value = declared.metadata["range"].checked(declared.name, getattr(self, declared.name))
            object.__setattr__(self, declared.name, value)
        self.require_relations()

    def require_relations(self) -> None:
        """Refuse values that are in their ranges and contradict each other.

        Raises:
            ValueError: Two of them do.
        """

    def require_less(self, lesser: str, greater: str) -> None:
        """Refuse a parameter that is not less than another one.

        Raises:
            ValueError: It is not.
        """
        value, bound = getattr(self, lesser), getattr(self, greater)
        if value >= bound:
            raise ValueError(f"{lesser}: expected less than {greater} ({bound}), found {value}")
