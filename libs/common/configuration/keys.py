"""Keys by their dotted names: `risk_management.stop_loss_pct`."""

from collections.abc import Mapping
from typing import Any


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return every key that holds a value, by its dotted name; an empty object is a value."""
    keys: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            keys |= flat(value, f"{prefix}{name}.")
        else:
            keys[f"{prefix}{name}"] = value
    return keys


def put(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a key by its dotted name; what is no object on the way is replaced, so that validation names the key."""
    *sections, name = key.split(".")
    for section in sections:
        known = content.get(section)
        inner = dict(known) if isinstance(known, Mapping) else {}
        content[section] = inner
        content = inner
    content[name] = value
