"""From a candle to a decision there is neither validation nor money: floats go in, floats come out."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from types import CodeType, FrameType
from typing import Any

import pytest

from libs.trading.strategies import STRATEGIES, Enter, Exit, create_strategy
from tests.unit.trading.trading_series import recorded

CANDLES = 3_000
SPEAKS_OF_MONEY = frozenset({"Decimal", "Context", "EXACT", "exact", "to_decimal", "round_to_tick", "round_down"})
ALLOWED = (
    "libs.trading.indicators",
    "libs.trading.market",
    "libs.trading.quality",
    "libs.trading.strategies",
)
VALIDATES_OR_COUNTS_MONEY = ("pydantic", "decimal", "_decimal", "libs.")


def called_by(work: Callable[[], object]) -> dict[CodeType, str]:
    """Return the code of every Python function that ran, with the name of its module."""
    ran: dict[CodeType, str] = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            ran.setdefault(frame.f_code, frame.f_globals.get("__name__", ""))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(before)
    return ran


def values_in(value: Any) -> Iterator[Any]:
    yield value
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from values_in(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from values_in(entry)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_decimal_and_no_validation_stand_between_a_candle_and_its_decision(name: str) -> None:
    strategy = create_strategy(name, "BTC/USDT", 60, {"stops": "atr"})
    candles = recorded()[:CANDLES]
    decisions: list[Any] = []

    ran = called_by(lambda: decisions.extend(map(strategy.on_candle, candles)))

    core = {code: module for code, module in ran.items() if module.startswith(VALIDATES_OR_COUNTS_MONEY)}
    assert any(isinstance(decision, Enter | Exit) for decision in decisions), "silence proves nothing"
    assert {module for module in core.values() if not module.startswith(ALLOWED)} == set()
    assert [code.co_qualname for code in core if SPEAKS_OF_MONEY & {*code.co_names}] == []
    assert not any(isinstance(value, Decimal) for decision in decisions for value in values_in(decision))


def test_the_watch_sees_money_where_there_is_some() -> None:
    from libs.trading.money import to_decimal  # noqa: PLC0415 - only this test speaks of money

    ran = called_by(lambda: to_decimal(1.5, Decimal("0.1")))

    assert "libs.trading.money" in ran.values()
    assert any(SPEAKS_OF_MONEY & {*code.co_names} for code in ran)
