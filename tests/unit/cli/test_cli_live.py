"""The live view fits its terminal: the way out of it stands on its last line."""

import io
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from cli.stack.live import screen
from libs.embedded.process import ProcessState, ProcessStatus

EXCHANGE = "http://127.0.0.1:40001"
NAMES = (
    *("kafka", "postgres", "redis", "paper_exchange", "market_monitor", "signal_generator", "risk_manager"),
    *("trade_executor", "position_manager", "notifier", "audit_recorder", "watchdog"),
)
FILLS: list[dict[str, Any]] = [
    {"at": "2026-01-05 12:30:00", "symbol": "BTC/USDT", "side": "BUY", "quantity": "1", "price": "2"}
] * 8


def a_process(name: str, state: ProcessState = ProcessState.READY) -> ProcessStatus:
    return ProcessStatus(
        name=name,
        pid=1,
        state=state,
        restarts=0,
        uptime_s=1,
        rss_mb=1,
        ready=state is ProcessState.READY,
        metrics_url=None,
    )


def shown(
    *, width: int, height: int, reason: str = "", failed: str = "", accounts: tuple[str, ...] = ("main",)
) -> list[str]:
    status = {
        "trading_state": "HALTED",
        "mode": "paper",
        "equity": Decimal("10000.00"),
        "pnl_today": Decimal("-12.34"),
        "positions_open": 2,
        "orders_open": 4,
        "trades_today": 123,
        "feeds": [{"symbol": "BTC/USDT", "age_ms": 24}, {"symbol": "ETH/USDT", "age_ms": 24}],
        "reason": reason,
    }
    processes = tuple(a_process(name, ProcessState.BACKOFF if name == failed else ProcessState.READY) for name in NAMES)
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(screen(console, dict.fromkeys(accounts, status), processes, FILLS, EXCHANGE))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("reason", ["", "a drill", "a long story " * 60, "line\nafter line\n" * 9])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 24), (60, 24), (200, 60)])
def test_the_way_out_is_shown_however_long_the_reason(width: int, height: int, reason: str):
    lines = shown(width=width, height=height, reason=reason)

    assert len(lines) < height, "the cursor has a line of its own"
    assert "stops trading" in " ".join(" ".join(lines[-2:]).split())
    assert any("watchdog" in line for line in lines)


def test_a_low_terminal_keeps_the_processes_that_are_not_ready():
    lines = shown(width=80, height=12, failed="notifier")

    assert len(lines) < 12
    assert any("notifier" in line for line in lines)
    assert not any("watchdog" in line for line in lines)


def test_a_tall_terminal_shows_every_fill():
    assert sum("BTC/USDT" in line and "BUY" in line for line in shown(width=120, height=50)) == len(FILLS)


def test_each_of_several_accounts_has_its_headline():
    lines = shown(width=100, height=40, accounts=("main", "second"))

    headlines = [line.split()[:2] for line in lines if "HALTED" in line]
    assert headlines == [["main", "HALTED"], ["second", "HALTED"]]
