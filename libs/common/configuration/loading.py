"""Reading the configuration's files: one or several that together form it.

An unknown or twice-given key is an error that names the nearest known one.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from libs.common.configuration.sections import TradingConfiguration
from libs.common.errors import ConfigurationError


def load_configuration(paths: Sequence[Path]) -> TradingConfiguration:
    """Read one file or several (the specification has three) that together form the configuration.

    Raises:
        ConfigurationError: A file that cannot be read or parsed, a key that is unknown, given twice or out of range.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, Path] = {}
    for path in paths:
        for key, value in _read(path).items():
            if key in merged:
                raise ConfigurationError(
                    where=f"{path}: {key}",
                    expected=f"each section once, and it stands in {origin[key]} already",
                    found="it again",
                    hint="remove one of the two",
                )
            merged[key] = value
            origin[key] = path
    return parse_configuration(merged, where=", ".join(str(path) for path in paths) or "configuration")


def parse_configuration(content: Mapping[str, Any], *, where: str) -> TradingConfiguration:
    """Validate a parsed configuration.

    Raises:
        ConfigurationError: The first thing that is wrong, with the nearest known key where one is unknown.
    """
    try:
        return TradingConfiguration.model_validate(content)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        first = next((entry for entry in errors if entry["type"] == "extra_forbidden"), errors[0])
        location = [str(part) for part in first["loc"]]
        hint = ""
        if first["type"] == "extra_forbidden":
            nearest = difflib.get_close_matches(location[-1], _known_keys(location[:-1]), n=1, cutoff=0.0)
            expected = "a known key"
            found = f"{location[-1]!r}"
            hint = f"did you mean {nearest[0]!r}?" if nearest else ""
        else:
            expected = _sentence(first["type"], first["msg"])
            found = _shown(first["input"])
        raise ConfigurationError(
            where=f"{where}: {'.'.join(location)}" if location else where, expected=expected, found=found, hint=hint
        ) from error


def configuration_schema() -> dict[str, Any]:
    """Return the JSON schema that editors and the documents use."""
    return TradingConfiguration.model_json_schema()


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            where=str(path), expected="a readable file", found=error.strerror or str(error), hint="check --config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(where=str(path), expected="UTF-8 text", found=str(error)) from error
    try:
        content = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates
        )
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            where=f"{path}:{error.lineno}:{error.colno}", expected="JSON", found=error.msg, hint="mend the file there"
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            where=str(path), expected="each key once and finite numbers", found=str(error)
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(where=str(path), expected="a JSON object", found=_shown(content))
    return content


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        message = f"the key {twice!r} twice"
        raise ValueError(message)
    return content


def _refuse_constant(name: str) -> Any:
    message = f"the number {name}"
    raise ValueError(message)


def _known_keys(location: Iterable[str]) -> list[str]:
    model: Any = TradingConfiguration
    for part in location:
        if part.isdigit():  # an entry of a list: the field before it named its model
            continue
        field = model.model_fields.get(part)
        candidates = [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if model is None:
            return []
    return list(model.model_fields)


def _sentence(kind: str, message: str) -> str:
    """Return what was expected, in words that go with "expected"."""
    if kind == "missing":
        return "this key"
    if kind == "string_pattern_mismatch":
        return "text of the form" + message.rpartition("pattern")[2]
    return message.removeprefix("Value error, ").removeprefix("Input should be ")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 100 else f"{text[:97]}..."  # noqa: PLR2004 - a line's worth of it
