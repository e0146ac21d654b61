"""From the bytes of a file to its parsed content; nothing that JSON leaves open is guessed.

Invariant: whatever the bytes are, the answer is content or mistakes, in time and memory bounded by the file's bound.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from libs.common.configuration.mistakes import Mistake, shown

BYTES_MAX: Final = 1_000_000
DIGITS_MAX: Final = 40
"""No number of a configuration is longer, and none lies further than that from 1."""
NESTING_MAX: Final = 20
"""More brackets within brackets than any key of a configuration has."""


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys were given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs) if len(pairs) > len(self) else Counter()
        self.twice = [key for key, count in counts.items() if count > 1]


class _NoNumber(str):
    """A number that is none, or of no usual size, where it stood."""

    __slots__ = ()


def read_file(path: Path) -> tuple[dict[str, Any], list[Mistake]]:
    """Return the content of a configuration file and what is wrong with it as JSON."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        return {}, [Mistake(str(path), "a readable file", error.strerror or str(error), "check --config")]
    if len(content) > BYTES_MAX:
        return {}, [Mistake(str(path), f"at most {BYTES_MAX} bytes", "more", "is it the right file?")]
    return read_bytes(content, where=str(path))


def read_bytes(content: bytes, *, where: str) -> tuple[dict[str, Any], list[Mistake]]:
    """Return the content of a configuration and what is wrong with it as JSON; a byte-order mark does no harm."""
    try:
        parsed = _parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return {}, [Mistake(where, "UTF-8 text", str(error))]
    except json.JSONDecodeError as error:
        return {}, [Mistake(f"{where}:{error.lineno}:{error.colno}", "JSON", error.msg, "mend the file there")]
    except RecursionError:
        return {}, [Mistake(where, "sections with keys", "brackets within brackets, too many to be one")]
    if not isinstance(parsed, dict):
        return {}, [Mistake(where, "a JSON object", shown(parsed))]
    return parsed, list(_mistakes(parsed, where))


def read_value(text: str) -> Any:
    """Return what a person typed as a value: JSON, or text where it is none or nested deeper than any value is."""
    try:
        parsed = _parse(text)
    except (json.JSONDecodeError, RecursionError):
        return text
    return text if _is_deep(parsed) else parsed


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(NESTING_MAX):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _parse(text: str) -> Any:
    return json.loads(
        text, parse_float=_decimal, parse_int=_integer, parse_constant=_NoNumber, object_pairs_hook=_Object
    )


def _decimal(text: str) -> Decimal | _NoNumber:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _NoNumber(text)
    usual = len(text) <= DIGITS_MAX and number.is_finite() and (number.is_zero() or abs(number.adjusted()) < DIGITS_MAX)
    return number if usual else _NoNumber(text)


def _integer(text: str) -> int | _NoNumber:
    return int(text) if len(text) <= DIGITS_MAX else _NoNumber(text)


def _mistakes(content: Mapping[str, Any], where: str) -> Iterator[Mistake]:
    """Yield what JSON lets pass; without recursion, because the content may be nested deeply."""
    waiting: list[tuple[str, Any]] = [("", content)]
    while waiting:
        place, value = waiting.pop()
        at = f"{where}: {place}" if place else where
        if isinstance(value, _NoNumber):
            yield Mistake(at, f"a finite number of at most {DIGITS_MAX} digits", shown(str(value)))
        elif isinstance(value, list):
            waiting += [(f"{place}.{index}", each) for index, each in enumerate(value)]
        elif isinstance(value, _Object):
            for key in value.twice:
                yield Mistake(f"{at}{'.' if place else ': '}{shown(key)}", "each key once", "it twice", "remove one")
            waiting += [(f"{place}.{shown(key)}" if place else shown(key), each) for key, each in value.items()]
