"""The page of the strategies says what the code says: names, windows, parameters with default, range and meaning."""

import json
import re
from dataclasses import Field, fields
from typing import Any

import pytest

from libs.common.configuration import parse_configuration
from libs.policy import configured_strategy
from libs.trading.strategies import STRATEGIES, ExitParameters, create_strategy, parameters_of
from tests.support.documents import ROOT, blocks, rows

PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
COMMON = "Exits and costs"


def section(title: str) -> str:
    """Return the text below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def described(declared: Field[Any]) -> list[str]:
    default = declared.default
    shown = format(default, "g") if isinstance(default, float) else str(default)
    return [f"`{declared.name}`", f"`{shown}`", str(declared.metadata["range"]), declared.metadata["meaning"]]


def tabulated(title: str) -> list[list[str]]:
    return [list(row) for row in rows(section(title)) if row[0].startswith("`")]


def own_parameters(name: str) -> list[Field[Any]]:
    others = {declared.name for declared in fields(ExitParameters)}
    if name == "consensus":
        others |= {declared.name for other in STRATEGIES if other != name for declared in fields(parameters_of(other))}
    return [declared for declared in fields(parameters_of(name)) if declared.name not in others]


def test_every_strategy_has_its_section_and_no_other_has():
    assert re.findall(r"^## `(\w+)`$", PAGE, re.MULTILINE) == list(STRATEGIES)


def test_the_common_parameters_are_those_of_the_code():
    assert tabulated(COMMON) == [described(declared) for declared in fields(ExitParameters)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_parameters_of_a_strategy_are_those_of_the_code(name: str):
    assert tabulated(f"`{name}`") == [described(declared) for declared in own_parameters(name)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_window_and_the_source_of_a_strategy_are_told(name: str):
    window = create_strategy(name, "BTC/USDT", 60, {}).window

    assert f"Window: {window} candles." in section(f"`{name}`")
    assert "\nSource: " in section(f"`{name}`")


def test_the_example_is_a_valid_configuration():
    (example,) = blocks(PAGE, "json")

    configuration = parse_configuration(json.loads(example), where="docs/strategies.md")

    assert configured_strategy(configuration, "BTC/USDT").name == "donchian_trend"
