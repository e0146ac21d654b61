"""The configurations that ship as demonstrations, and how any configuration differs from the specification's values."""

import json
import re
from pathlib import Path
from typing import Any, Final

from libs.common.configuration import TradingConfiguration, load_configuration

CONFIGURATIONS: Final = Path(__file__).parents[2] / "config"
DEMO: Final = CONFIGURATIONS / "demo.json"
CRASH: Final = CONFIGURATIONS / "crash.json"


def is_demonstration(path: Path) -> bool:
    """Return whether a file is one of ours: only those start a fresh installation ACTIVE."""
    return path.resolve() in {DEMO.resolve(), CRASH.resolve()}


def with_overrides(
    configuration: TradingConfiguration, *, market: str | None, seed: int | None, symbols: str | None
) -> dict[str, Any]:
    """Return the content of a configuration with the command line's options laid over it."""
    content = configuration.model_dump(mode="json")
    if market is not None:
        content["market"]["source"] = market
    if seed is not None:
        content["market"]["seed"] = seed
    if symbols is not None:
        content["symbols"] = [symbol.strip() for symbol in symbols.split(",") if symbol.strip()]
    return content


def differences(configuration: TradingConfiguration) -> list[str]:
    """Return what a configuration changes from the specification's values, a line each."""
    return sorted(_differences(configuration.model_dump(mode="json"), load_configuration([]).model_dump(mode="json")))


def _differences(found: dict[str, Any], specified: dict[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in found.items():
        before = specified.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            lines += _differences(value, before, f"{prefix}{key}.")
        elif value != before:
            lines.append(f"{prefix}{key}: {_written(before)} -> {_written(value)}")
    return lines


def _written(value: Any) -> str:
    """Return a value as a configuration file has it; decimals, which travel as strings, as the numbers they are."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return value
    return json.dumps(value, ensure_ascii=False)
