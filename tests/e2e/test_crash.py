"""The generated market falls: the daily loss limit trips at the mark that plain arithmetic names, and holds."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import StackUnderTest, until

CRASH = Path(__file__).parents[2] / "config" / "crash.json"
RESTARTS = int(os.environ.get("TRADER_TEST_RESTARTS", "1"))
"""How many restarts of everything the halt must outlive; 20 for the long run."""
HALTED_S_MAX = 450
"""The market falls after 40 s, and again where a slow start still bought nothing; the last time after 410 s."""
TIMEOUT_S = HALTED_S_MAX + 240 + 120 * RESTARTS
FILLS_BEFORE = """
    SELECT fills.* FROM fills JOIN booked_fills AS booked USING (account, symbol, trade_id)
    WHERE account = 'main' AND booked.booked_at <= $1::text::timestamptz
"""
"""What the executor recorded, as far as the position manager had heard of it by then: a mark cannot know more."""
LIMIT = Decimal("0.03")  # risk_management.daily_loss_limit_pct of config/crash.json, 3 %


def marks_of(stack: StackUnderTest) -> list[dict[str, Any]]:
    rows = stack.query(
        """SELECT event_id::text, payload FROM audit
           WHERE topic = 'account.equity' AND kind = 'EVENT' ORDER BY offset_last"""
    )
    return [{"event_id": row["event_id"], **json.loads(row["payload"])} for row in rows]


def first_mark_beyond_the_limit(marks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Recompute from the marks alone: the highest of the day's start and of what was confirmed since, less the mark."""
    for mark in marks:
        start = Decimal(mark["day_start_equity"])
        highest = max(start, Decimal(mark["peak_24h"]))
        if mark["confirmed"] and highest - Decimal(mark["equity"]) >= LIMIT * start:
            return mark
    return None


def equity_from_fills(stack: StackUnderTest, mark: dict[str, Any]) -> Decimal:
    """Recompute a mark from the opening balance and the fills before it, without any of our ledgers."""
    opening = stack.query("SELECT opening FROM balances WHERE account = 'main' AND asset = 'USDT'")[0]["opening"]
    equity: Decimal = opening
    for fill in stack.query(FILLS_BEFORE, mark["occurred_at"]):
        base = fill["symbol"].split("/")[0]
        sign = 1 if fill["side"] == "BUY" else -1
        held = sign * fill["quantity"] - (fill["commission"] if fill["commission_asset"] == base else 0)
        paid = sign * fill["quantity"] * fill["price"] + (
            fill["commission"] if fill["commission_asset"] == "USDT" else 0
        )
        equity += held * Decimal(mark["marks"][fill["symbol"]]) - paid
    return equity


def lose_the_halt_directory(stack: StackUnderTest) -> None:
    """Delete one of the halt's three places while nothing runs; the next start writes it again."""
    for path in (stack.data_dir / "halt").iterdir():
        path.unlink()


@pytest.mark.timeout(TIMEOUT_S)
def test_a_crash_trips_the_daily_loss_limit_and_the_halt_outlives_a_restart(stack: StackUnderTest):
    stack.start("--config", str(CRASH), "--market", "generated", "--seed", "7")

    until(lambda: stack.ask("status")["trading_state"] == "HALTED", seconds=HALTED_S_MAX, what="HALTED after the crash")

    tripped = until(lambda: first_mark_beyond_the_limit(marks_of(stack)), seconds=20, what="the mark in the audit log")
    state = stack.query(
        """SELECT causation_id::text, payload FROM audit
           WHERE topic = 'control.state' AND event_type = 'TradingStateChanged' ORDER BY offset_last DESC LIMIT 1"""
    )[0]
    assert state["causation_id"] == tripped["event_id"]
    assert json.loads(state["payload"])["trigger"] == "DAILY_LOSS_EXCEEDED"
    assert equity_from_fills(stack, tripped) == Decimal(tripped["equity"])
    alerts = stack.ask("alerts", "--limit", "0")["alerts"]
    assert any(
        alert["alert_type"] == "EMERGENCY_STOP" and "DAILY_LOSS_EXCEEDED" in json.dumps(alert) for alert in alerts
    )

    entry = next(order for order in stack.ask("orders", "--limit", "0")["orders"] if order["role"] == "ENTRY")
    story = stack.ask("audit", "explain", entry["client_order_id"])["steps"]
    types = [step["event_type"] for step in story]
    assert types[:3] == ["CandleClosed", "SignalGenerated", "OrderApproved"]
    assert {"OrderUpdated", "OrderFilled", "PositionChanged"} <= set(types)
    signal = next(step["content"] for step in story if step["event_type"] == "SignalGenerated")
    assert Decimal(signal["bid"]) <= Decimal(signal["ask"])

    for number in range(RESTARTS):
        stack.stop()
        if number % 2 == 1:
            lose_the_halt_directory(stack)
        stack.start("--config", str(CRASH), "--market", "generated", "--seed", "7")
        assert stack.ask("status")["trading_state"] == "HALTED"
        until(lambda: list((stack.data_dir / "halt").glob("HALT*")), seconds=20, what="the halt in its directory")
    stack.trader("start", status=1)
    assert stack.ask("audit", "verify")["verified"]
    assert stack.ask("invariants")["violations"] == []
