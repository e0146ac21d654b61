"""The documented configuration is the one that is read: every key, its default, and the examples."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.keyring import KEY_FILE_VARIABLE
from cli.stack.composition import PASSED_ON, PASSED_ON_TO
from libs.common.configuration import configuration_schema, load_configuration, parse_configuration
from libs.embedded.stores.jars import CACHE_VARIABLE
from tests.support.documents import README, README_KO, ROOT, blocks, named, rows

SPECIFIED = {
    "engine": {"trading_interval": 300, "max_concurrent_positions": 5, "enable_paper_trading": False},
    "risk_management": {
        "daily_loss_limit_pct": 3.0,
        "position_size_pct": 2.0,
        "stop_loss_pct": 1.0,
        "take_profit_pct": 2.0,
    },
    "symbols": ["BTC/USDT", "ETH/USDT"],
    "notifications": {
        "enabled": True,
        "channels": ["dashboard", "email"],
        "trade_notifications": True,
        "error_notifications": True,
    },
}
"""The specification's example, word for word."""

NO_DEFAULT = {"object": "{}", "array": "[]"}


def keys_of(schema: dict[str, Any], node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key with its default as the READMEs write it."""
    for name, described in node["properties"].items():
        if name == "$schema":  # for editors
            continue
        if "$ref" in described:
            yield from keys_of(schema, schema["$defs"][described["$ref"].rpartition("/")[2]], f"{prefix}{name}.")
        elif "default" in described:
            default = described["default"]
            is_decimal = isinstance(default, str) and default.replace(".", "").isdigit()
            yield f"{prefix}{name}", default if is_decimal else json.dumps(default)
        else:
            yield f"{prefix}{name}", NO_DEFAULT[described["type"]]


@pytest.mark.parametrize("readme", [README, README_KO], ids=named)
def test_every_key_stands_in_the_readme_with_its_default(readme: Path):
    schema = configuration_schema()
    expected = {key: default for key, default in keys_of(schema, schema) if "." in key}
    cells = {row[0].strip("`"): row for row in rows(readme.read_text(encoding="utf-8")) if len(row) == 3}

    documented = {key: row[1].strip("`") for key, row in cells.items() if "." in key and key.split(".")[0] in SECTIONS}

    assert documented == expected
    assert cells["symbols"][1].strip("`") == '["BTC/USDT", "ETH/USDT"]'
    assert cells["accounts"][1].strip("`") == "{}"
    assert all(row[2] for row in cells.values())


@pytest.mark.parametrize("readme", [README, README_KO], ids=named)
def test_every_variable_that_reaches_a_service_or_names_a_key_stands_in_the_readme(readme: Path):
    passed_on = {*PASSED_ON, *(variable for variables in PASSED_ON_TO.values() for variable in variables)}
    first_cells = {row[0].strip("`") for row in rows(readme.read_text(encoding="utf-8"))}

    assert first_cells >= passed_on | {KEY_FILE_VARIABLE, CACHE_VARIABLE}


SECTIONS = {key.split(".")[0] for key, _ in keys_of(configuration_schema(), configuration_schema())}


def test_the_published_schema_is_the_one_that_is_read():
    assert json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8")) == configuration_schema()


@pytest.mark.parametrize("readme", [README, README_KO], ids=named)
def test_the_readmes_example_is_the_default(readme: Path):
    (example,) = blocks(readme.read_text(encoding="utf-8"), "json")

    assert parse_configuration(json.loads(example), where="example") == load_configuration([])


def test_the_specifications_example_loads_whole_and_in_three_files(tmp_path: Path):
    parts = {
        "auto_trading_config.json": ("engine", "symbols"),
        "risk_config.json": ("risk_management",),
        "notification_config.json": ("notifications",),
    }
    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps(SPECIFIED), encoding="utf-8")
    for name, sections in parts.items():
        (tmp_path / name).write_text(json.dumps({key: SPECIFIED[key] for key in sections}), encoding="utf-8")

    loaded = load_configuration([whole])

    assert loaded == load_configuration([tmp_path / name for name in parts])
    assert loaded.engine.trading_interval == 300
    assert loaded.symbols == ("BTC/USDT", "ETH/USDT")
    assert not loaded.engine.enable_paper_trading
