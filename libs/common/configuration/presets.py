"""The presets that `engine.trading_mode` names: figures of risk for whoever does not give them one by one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

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


def mode_of(content: Mapping[str, Any]) -> str:
    """Return the mode that a parsed configuration names, the default where it names none or none that there is."""
    engine = content.get("engine")
    mode = engine.get("trading_mode") if isinstance(engine, Mapping) else None
    return mode if isinstance(mode, str) and mode in PRESETS else DEFAULT_MODE


def over_preset(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parsed configuration laid over the figures of its mode: what it gives itself wins."""
    whole = dict(content)
    for key, value in PRESETS[mode_of(content)].items():
        section, _, name = key.partition(".")
        given = whole.get(section, {})
        if isinstance(given, Mapping):  # anything else is refused where it is validated
            whole[section] = {name: value, **given}
    return whole
