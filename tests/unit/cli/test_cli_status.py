"""The status as people read it."""

from decimal import Decimal
from typing import Any

from cli.status import standstill, status_line, status_pairs
from libs.common.control.commands import option_for


def a_status(**changes: Any) -> dict[str, Any]:
    quiet: dict[str, Any] = {
        "trading_state": "ACTIVE",
        "halts": [],
        "daily_loss_fraction": 0.0,
        "feeds": [{"symbol": "BTC/USDT", "age_ms": 24}, {"symbol": "ETH/USDT", "age_ms": None}],
        "lag": {"market.quotes": 0, "signals": 0},
    }
    return quiet | changes


def told(**changes: Any) -> dict[str, Any]:
    return status_pairs(a_status(**changes), daily_loss_limit_pct=Decimal("3.0"))


def test_a_quiet_stack_is_told_in_few_words():
    assert told() == {
        "trading_state": "ACTIVE",
        "halts": "none",
        "daily_loss": "0.00 % of 3 %",
        "feeds": "BTC/USDT 24 ms, ETH/USDT unknown",
        "lag": 0,
    }


def test_each_standing_halt_is_told_with_id_scope_and_reason():
    halts = [
        {"halt_id": "h-1", "symbol": None, "strategy": None, "trigger": "MANUAL_STOP", "reason": "a drill"},
        {"halt_id": "h-2", "symbol": "BTC/USDT", "strategy": "ema_cross", "trigger": "SYSTEM_ERROR", "reason": ""},
    ]

    assert told(halts=halts)["halts"] == "h-1 everything: a drill; h-2 BTC/USDT with ema_cross: SYSTEM_ERROR"


def test_a_topic_that_lags_is_named():
    assert told(lag={"signals": 3, "fills": 0})["lag"] == {"signals": 3, "fills": 0}


def test_a_loss_is_told_against_its_limit_where_both_are_known():
    assert told(daily_loss_fraction=0.01234)["daily_loss"] == "1.23 % of 3 %"
    assert told(daily_loss_fraction=None)["daily_loss"] is None
    assert status_pairs(a_status(), daily_loss_limit_pct=None)["daily_loss"] == "0.00 %"


def test_only_what_does_not_end_by_itself_asks_for_a_person():
    assert standstill("REDUCING", wants_active=False) == "REDUCING: no entries until `trader start`"
    assert standstill("REDUCING", wants_active=True) == "", "a cause of its own, such as equity that is not known yet"
    assert standstill("ACTIVE", wants_active=True) == ""
    assert "`trader resume`" in standstill("HALTED", wants_active=True)
    assert "`trader start --account second`" in standstill("HALTED", wants_active=True, option=option_for("second"))


def test_the_line_of_one_account_among_several_names_it():
    status = {
        "trading_state": "ACTIVE",
        "equity": Decimal(10),
        "pnl_today": None,
        **dict.fromkeys(("positions_open", "orders_open", "trades_today"), 0),
    }

    assert status_line(status).startswith("ACTIVE  equity 10  PnL today -")
    assert status_line(status, account="second").startswith("second: ACTIVE  ")
