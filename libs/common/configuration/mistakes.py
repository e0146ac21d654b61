"""What is wrong with a configuration: every mistake with its place, told at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from libs.common.errors import ConfigurationError

TOLD_MAX: Final = 50
"""Whoever has more of them has given the wrong file."""

SHOWN_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong.

    Attributes:
        where: The file and key, the line, or the environment variable.
        expected: What would be accepted there.
        found: What stands there, shortened.
        hint: What to do about it.
    """

    where: str
    expected: str
    found: str
    hint: str = ""

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"{self.where}: expected {self.expected}, found {self.found}{f'; {self.hint}' if self.hint else ''}"


class InvalidConfigurationError(ConfigurationError):
    """A configuration with mistakes; its text has a line for each."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        first = mistakes[0]
        super().__init__(where=first.where, expected=first.expected, found=first.found, hint=first.hint)
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        """Return a line for each mistake."""
        untold = len(self.mistakes) - TOLD_MAX
        return "\n".join([*map(str, self.mistakes[:TOLD_MAX]), *([f"and {untold} more"] if untold > 0 else [])])


def shown(value: Any) -> str:
    """Return a value as a configuration file has it, shortened to a line, in characters that can be sent and stored."""
    if isinstance(value, Decimal):
        value = f"{value:f}"
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        return f"{type(value).__name__} of an unusual size"
    text = text.encode(errors="replace").decode().replace("\0", "?")
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[: SHOWN_CHARACTERS_MAX - 3]}..."
