"""The commands' public forms against one running stack: keys, pipes, terminals, filters, exit statuses."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import PROCESSES, CommandFailed, StackUnderTest, until
from tests.support.trader import TRADER

SCREEN_S_MAX = 90.0
STOPPED_S_MAX = 20.0
ORDER = ("client_order_id", "exchange_order_id", "account", "symbol", "side", "type", "quantity", "price", "status")
FILL = ("trade_id", "client_order_id", "account", "symbol", "side", "quantity", "price", "commission")
POSITION = ("account", "symbol", "quantity", "entry_price", "unrealised_pnl", "stop_loss", "take_profit")
STATUS = (
    *("trading_state", "mode", "since", "reason", "halts", "equity", "pnl_today", "daily_loss_fraction"),
    *("positions_open", "signals_active", "orders_open", "trades_today", "uptime_s", "permit_age_ms", "feeds", "lag"),
)


def rows_of(stack: StackUnderTest, command: str, *options: str) -> list[dict[str, object]]:
    content = stack.ask(command, *options)
    assert list(content) == [command]
    rows: list[dict[str, object]] = content[command]
    return rows


@pytest.mark.parametrize(
    ("command", "keys"),
    [("orders", ORDER), ("fills", FILL), ("positions", POSITION), ("prices", ("symbol", "bid", "ask", "last", "at"))],
)
def test_a_listing_has_its_documented_keys(standing: StackUnderTest, command: str, keys: tuple[str, ...]):
    rows = until(lambda: rows_of(standing, command), seconds=60, what=f"a row of {command}")

    for row in rows:
        assert set(keys) <= set(row)
        assert all(isinstance(row[key], str) for key in ("quantity", "bid") if key in row), "decimals are strings"


@pytest.mark.parametrize("command", ["signals", "refusals", "alerts", "performance"])
def test_every_other_listing_answers_with_one_object(standing: StackUnderTest, command: str):
    assert isinstance(rows_of(standing, command), list)


def test_the_status_has_its_documented_keys(standing: StackUnderTest):
    status = standing.ask("status")

    assert set(status) == set(STATUS)
    assert status["trading_state"] == "ACTIVE"
    assert status["mode"] == "paper"
    assert {feed["symbol"] for feed in status["feeds"]} == {"BTC/USDT", "ETH/USDT"}
    assert all(isinstance(feed["age_ms"], int) for feed in status["feeds"])
    assert all(isinstance(records, int) for records in status["lag"].values())


def test_processes_and_endpoints_have_their_documented_keys(standing: StackUnderTest):
    processes = standing.ask("ps")["processes"]
    endpoints = standing.endpoints()

    assert {row["name"] for row in processes} == PROCESSES
    assert set(processes[0]) == {"name", "pid", "state", "restarts", "uptime_s", "rss_mb", "ready", "metrics_url"}
    assert set(endpoints) == {
        *("data_dir", "kafka", "redis", "postgres", "exchange_rest", "exchange_ws", "exchange_accounts"),
        *("dashboard", "operator_key_file"),
    }
    assert set(endpoints["exchange_accounts"]) == {"main", "visitor"}
    assert set(endpoints["exchange_accounts"]["visitor"]) == {"api_key", "api_secret"}


def test_the_proofs_have_their_documented_keys(standing: StackUnderTest):
    invariants = standing.ask("invariants")

    assert set(invariants) == {"checked", "violations"}
    assert invariants["violations"] == []
    assert standing.ask("audit", "verify")["verified"]
    assert all(check["ok"] for check in standing.ask("doctor")["checks"])
    assert set(standing.ask("config", "show")) == {"version", "hash", "configuration", "origins", "files_differ"}


def test_a_pipe_gets_plain_tab_separated_text(standing: StackUnderTest):
    header, *rows = standing.trader("orders", "--limit", "2").splitlines()

    assert header.split("\t")[: len(ORDER)] == list(ORDER)
    assert len(rows) == 2
    assert all(row.count("\t") == header.count("\t") for row in rows)
    for command in (("ps",), ("status",), ("prices",), ("config", "show"), ("endpoints",)):
        assert "\x1b" not in standing.trader(*command)


def test_a_limit_of_zero_means_all_and_the_newest_come_first(standing: StackUnderTest):
    everything = rows_of(standing, "orders", "--limit", "0")
    two = rows_of(standing, "orders", "--limit", "2")

    assert len(two) == 2 < len(everything)
    times = [str(row["created_at"]) for row in everything]
    assert times == sorted(times, reverse=True)


def test_filters_leave_only_what_they_name(standing: StackUnderTest):
    bitcoin = rows_of(standing, "orders", "--symbol", "BTC/USDT", "--limit", "0")
    filled = rows_of(standing, "orders", "--state", "filled", "--limit", "0")

    assert {row["symbol"] for row in bitcoin} <= {"BTC/USDT"}
    assert {row["status"] for row in filled} == {"FILLED"}
    assert rows_of(standing, "orders", "--since", "2100-01-01T00:00:00+00:00") == []
    assert len(rows_of(standing, "orders", "--since", "1h", "--limit", "0")) >= len(filled)


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [("--symbol", "BTCUSDT", "BTC/USDT"), ("--account", "nobody", "main"), ("--state", "DONE", "FILLED")],
)
def test_a_filter_that_can_match_nothing_is_refused_with_what_can(
    standing: StackUnderTest, option: str, value: str, known: str
):
    with pytest.raises(CommandFailed, match=f"{option}: expected .*{known}.*found {value}"):
        standing.trader("orders", option, value)
    standing.trader("orders", option, value, status=2)


def test_an_order_is_explained_and_an_unknown_one_is_a_failure(standing: StackUnderTest):
    order = str(rows_of(standing, "fills")[0]["client_order_id"])

    story = standing.ask("audit", "explain", order)

    assert story["order"] == order
    assert len(story["steps"]) > 3
    standing.trader("audit", "explain", "no-such-order", status=1)


def test_logs_are_printed_and_an_unknown_process_is_a_usage_error(standing: StackUnderTest):
    assert len(standing.trader("logs", "risk_manager", "--lines", "3").splitlines()) == 3
    standing.trader("logs", "nobody", status=2)


def test_a_second_stack_in_the_same_directory_is_refused(standing: StackUnderTest):
    pids = standing.pids()

    for options in ((), ("--detach",)):
        with pytest.raises(CommandFailed, match=f"already running \\(pid {standing.supervisor_pid()}\\)"):
            standing.trader("up", *options)
    assert pids == standing.pids()


def test_watching_prints_a_line_a_second_until_ctrl_c(standing: StackUnderTest):
    watching = subprocess.Popen(
        [*TRADER, "watch", "--json", "--data-dir", str(standing.data_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    statuses = [json.loads(watching.stdout.readline()) for _ in range(2)]
    watching.send_signal(signal.SIGINT)

    assert watching.wait(timeout=STOPPED_S_MAX) == 130
    watching.stdout.close()
    assert all(set(status) == set(STATUS) for status in statuses)


def test_an_operator_key_that_others_can_read_is_refused(standing: StackUnderTest):
    key = Path(standing.endpoints()["operator_key_file"])
    key.chmod(0o644)

    try:
        with pytest.raises(CommandFailed, match=r"operator\.pem.*0o644"):
            standing.trader("stop", status=0)
        standing.trader("stop", status=4)
    finally:
        key.chmod(0o600)


def test_a_halt_reports_what_it_did_and_is_told_as_an_alert(standing: StackUnderTest):
    halted = standing.ask("halt", "--reason", "a drill")

    assert set(halted) == {
        *("command_id", "acknowledged_ms", "paths", "state", "orders_cancelled"),
        *("last_order_sent_at", "last_order_accepted_at", "verified_ms", "flat", "positions_left"),
    }
    assert halted["verified_ms"] > 1_000  # no sweep proves anything within the receive window
    assert halted["flat"] is None
    assert halted["paths"] == ["file", "kafka", "redis"]
    assert halted["state"] == "HALTED"
    status = standing.ask("status")
    assert (status["trading_state"], status["reason"]) == ("HALTED", "a drill")
    until(
        lambda: any("a drill" in str(alert["message"]) for alert in rows_of(standing, "alerts", "--limit", "0")),
        seconds=10,
        what="an alert about the halt",
    )
    standing.trader("start", status=1)


def test_resuming_leads_to_reducing_and_starting_to_active(standing: StackUnderTest):
    halted = standing.ask("halt", "--reason", "another drill", "--liquidate")
    assert (halted["flat"], halted["positions_left"]) == (True, [])

    resumed = standing.ask("resume", "--reason", "the drill is over")
    assert (resumed["state"], resumed["still_latched"]) == ("REDUCING", [])
    assert halted["command_id"] in resumed["cleared"]
    assert standing.ask("start")["state"] == "ACTIVE"
    standing.trader("resume", "--reason", "there is nothing to resume from", status=1)
    assert standing.ask("stop")["state"] == "REDUCING"
    assert standing.ask("start")["state"] == "ACTIVE"


def test_a_service_that_does_not_answer_is_a_timeout(standing: StackUnderTest):
    pid = int(standing.processes()["risk_manager"]["pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        standing.trader("start", status=5)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_port_that_somebody_took_is_replaced(standing: StackUnderTest):
    before = standing.endpoints()["exchange_rest"]
    orders = len(rows_of(standing, "orders", "--limit", "0"))
    standing.stop()

    with socket.create_server(("127.0.0.1", int(before.rpartition(":")[2]))):
        standing.start()

        assert standing.endpoints()["exchange_rest"] != before
        assert len(rows_of(standing, "orders", "--limit", "0")) >= orders
        assert standing.all_ready()


def test_the_exchange_runs_alone_and_says_where(stack: StackUnderTest):
    alone = subprocess.Popen(
        [*TRADER, "exchange", "--json", "--data-dir", str(stack.data_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert alone.stdout is not None
    ready = json.loads(alone.stdout.readline())

    assert set(ready) == {"exchange_rest", "exchange_ws", "exchange_accounts"}
    assert set(ready["exchange_accounts"]) == {"main", "visitor"}
    port = int(re.findall(r":(\d+)$", ready["exchange_rest"])[0])
    socket.create_connection(("127.0.0.1", port)).close()
    alone.send_signal(signal.SIGINT)
    assert alone.wait(timeout=STOPPED_S_MAX) == 130
    alone.stdout.close()


def test_help_needs_none_of_the_clients():
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import cli.__main__"], capture_output=True, text=True, check=True
    ).stderr

    assert not re.findall(
        r"\|\s+(asyncpg|aiokafka|redis|cryptography|pydantic|psutil|rich|structlog)$", loaded, re.MULTILINE
    )
