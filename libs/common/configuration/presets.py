"""The presets that `engine.trading_mode` names: figures of risk for whoever does not give them one by one."""

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from libs.common.configuration.keys import ACCOUNTS

TradingMode = Literal["CONSERVATIVE", "MODERATE", "AGGRESSIVE"]

PRESETS: Final[Mapping[str, Mapping[str, str | int]]] = MappingProxyType(
    {
        "CONSERVATIVE": {
            "engine.max_concurrent_positions": 5,
            "risk_management.daily_loss_limit_pct": "3.0",
            "risk_management.position_size_pct": "2.0",
            "risk_management.stop_loss_pct": "1.0",
            "risk_management.take_profit_pct": "2.0",
        },
        "MODERATE": {
            "engine.max_concurrent_positions": 8,
            "risk_management.daily_loss_limit_pct": "4.0",
            "risk_management.position_size_pct": "4.0",
            "risk_management.stop_loss_pct": "1.5",
            "risk_management.take_profit_pct": "3.0",
        },
        "AGGRESSIVE": {
            "engine.max_concurrent_positions": 10,
            "risk_management.daily_loss_limit_pct": "6.0",
            "risk_management.position_size_pct": "8.0",
            "risk_management.stop_loss_pct": "2.0",
            "risk_management.take_profit_pct": "4.0",
        },
    }
)
"""CONSERVATIVE has the specification's own figures."""

DEFAULT_MODE: Final = "CONSERVATIVE"
PRESET_KEYS: Final = frozenset(PRESETS[DEFAULT_MODE])


OWN_PRESET_KEYS: Final = (
    "engine.max_concurrent_positions",
    "risk_management.daily_loss_limit_pct",
    "risk_management.position_size_pct",
)
"""What a mode sets for one account: where exits stand is the strategy's, which decides once for all of them."""


def mode_of(content: Mapping[str, Any]) -> str:
    """Return the mode that a parsed configuration names, the default where it names none or none that there is."""
    return _named_mode(content) or DEFAULT_MODE


def over_preset(content: Mapping[str, Any], given: Container[str]) -> dict[str, Any]:
    """Return a parsed configuration laid over the figures of its mode: what it gives itself wins.

    An account that names a mode has the figures of that one, but for those that somebody gave: for it, or for all.

    Args:
        content: Its sections.
        given: The common keys that somebody gave a value.
    """
    whole = _over(content, PRESETS[mode_of(content)])
    accounts = whole.get(ACCOUNTS)
    if isinstance(accounts, Mapping):
        whole[ACCOUNTS] = {name: _with_own_preset(own, given) for name, own in accounts.items()}
    return whole


def _with_own_preset(own: Any, given: Container[str]) -> Any:
    mode = _named_mode(own)
    if mode is None:
        return own
    return _over(own, {key: PRESETS[mode][key] for key in OWN_PRESET_KEYS if key not in given})


def _over(content: Mapping[str, Any], figures: Mapping[str, str | int]) -> dict[str, Any]:
    whole = dict(content)
    for key, value in figures.items():
        section, _, name = key.partition(".")
        given = whole.get(section, {})
        if isinstance(given, Mapping):  # anything else is refused where it is validated
            whole[section] = {name: value, **given}
    return whole


def _named_mode(content: Any) -> str | None:
    engine = content.get("engine") if isinstance(content, Mapping) else None
    mode = engine.get("trading_mode") if isinstance(engine, Mapping) else None
    return mode if isinstance(mode, str) and mode in PRESETS else None
