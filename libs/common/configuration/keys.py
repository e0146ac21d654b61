"""Keys by their dotted names: `risk_management.stop_loss_pct`, `accounts.main.safety.drawdown_pct_max`."""

from collections.abc import Mapping
from typing import Any, Final

ACCOUNTS: Final = "accounts"
"""The section of what accounts have of their own, by their names."""


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


def over(content: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Return content with other content laid over it, key by key."""
    whole = dict(content)
    for name, value in upper.items():
        below = whole.get(name)
        whole[name] = over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return whole


def account_of(key: str) -> str | None:
    """Return whose own value a key is; None: it is a common one."""
    section, _, rest = key.partition(".")
    account, _, name = rest.partition(".")
    return account if section == ACCOUNTS and name else None


def common(key: str) -> str:
    """Return the key that holds where an account has no value of its own; a common key as it is."""
    account = account_of(key)
    return key if account is None else key.removeprefix(f"{ACCOUNTS}.{account}.")
