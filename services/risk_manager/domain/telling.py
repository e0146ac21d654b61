"""How many things are told in a line that has a bound."""

from collections.abc import Collection
from itertools import islice
from typing import Final

TOLD_MAX: Final = 5
"""Two lists of names of the greatest length still fit into one answer."""


def told(things: Collection[object], *, separator: str = ", ") -> str:
    """Return the first of them by name, and how many more there are."""
    first = [str(thing) for thing in islice(things, TOLD_MAX)]
    more = [f"and {len(things) - TOLD_MAX} more"] if len(things) > TOLD_MAX else []
    return separator.join(first + more)
