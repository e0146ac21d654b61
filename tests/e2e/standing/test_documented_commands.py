"""Every command that the READMEs and the runbook tell people to type, typed against one running stack."""

import hashlib
import hmac
import json
import os
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.support.documents import README, README_KO, ROOT, RUNBOOK, shell_lines, trader_arguments
from tests.support.stack import StackUnderTest, until
from tests.support.trader import TRADER

STARTED_BY_THE_FIXTURE = {"up", "down"}
CHANGING = {"halt", "resume", "start", "stop"}
DOCUMENTED = list(
    dict.fromkeys(
        line
        for document in (README, README_KO, RUNBOOK)
        for line in shell_lines(document.read_text(encoding="utf-8"))
        if line.startswith("trader ")
    )
)
ACCEPTING = [line for line in DOCUMENTED if trader_arguments(line)[:2] == ["reconcile", "accept"]]
KEEPING_KEYS = [line for line in DOCUMENTED if trader_arguments(line)[:2] in (["keys", "new"], ["keys", "revoke"])]
READING = [
    line
    for line in DOCUMENTED
    if trader_arguments(line)[0] not in STARTED_BY_THE_FIXTURE | CHANGING and line not in ACCEPTING + KEEPING_KEYS
]
FILLED_ENTRY = "SELECT intent_id FROM orders WHERE role = 'ENTRY' AND status = 'FILLED' LIMIT 1"


@pytest.fixture(scope="module")
def order(standing: StackUnderTest) -> str:
    until(lambda: standing.query(FILLED_ENTRY), seconds=90, what="a filled entry")
    orders = standing.ask("orders", "--state", "FILLED", "--limit", "0")["orders"]
    return next(str(order["client_order_id"]) for order in orders if order["role"] == "ENTRY")


@pytest.mark.parametrize("line", READING)
def test_a_documented_reading_command_works(line: str, standing: StackUnderTest, order: str):
    arguments = [order if argument == "ORDER" else argument for argument in trader_arguments(line)]

    said = standing.trader(*arguments) if accepts_a_directory(arguments) else plain(*arguments)

    assert said.strip()


def test_a_lost_key_is_replaced_as_documented_and_the_new_one_signs_what_follows(standing: StackUnderTest):
    for line in KEEPING_KEYS:
        standing.trader(*trader_arguments(line))

    keys = {key["name"]: key["revoked_at"] is None for key in standing.ask("keys", "list")["keys"]}
    assert keys == {"alice": True, "operator": False}


def test_the_documented_halt_is_kept_until_the_documented_resume(standing: StackUnderTest):
    lines = [line for line in DOCUMENTED if trader_arguments(line)[0] in CHANGING]
    halts, resumes, starts = (
        [trader_arguments(line) for line in lines if trader_arguments(line)[0] == name]
        for name in ("halt", "resume", "start")
    )
    assert len(lines) == len(halts) + len(resumes) + len(starts)

    for halt in halts:
        answer = json.loads(standing.trader(*halt, "--json"))
        assert sorted(answer["paths"]) == ["file", "kafka", "redis"]
        assert standing.ask("status")["trading_state"] == "HALTED"
        standing.trader("start", status=1)
        for resume in resumes[:1]:
            assert json.loads(standing.trader(*resume, "--json"))["state"] == "REDUCING"
    for start in starts:
        assert json.loads(standing.trader(*start, "--json"))["state"] == "ACTIVE"
    for resume in resumes[1:]:
        standing.trader("halt", "--reason", "so that it can be resumed")
        standing.trader(*resume)
    assert json.loads(standing.trader("stop", "--json"))["state"] == "REDUCING"


def test_a_file_named_halt_halts(standing: StackUnderTest):
    (standing.data_dir / "halt" / "HALT").touch()

    until(lambda: standing.ask("status")["trading_state"] == "HALTED", seconds=20, what="HALTED by a file")

    standing.trader("resume", "--reason", "the file was a drill")
    # The risk manager's next look at the directory takes the settled file away.
    until(lambda: not list((standing.data_dir / "halt").glob("HALT*")), seconds=10, what="no file named HALT")


def test_documented_exit_statuses_hold(standing: StackUnderTest, tmp_path: Path):
    nowhere = StackUnderTest(tmp_path / "nothing")
    unknown_key = tmp_path / "unknown_key.json"
    unknown_key.write_text('{"engin": {}}', encoding="utf-8")
    real = tmp_path / "real.json"
    real.write_text('{"engine": {"enable_paper_trading": false}}', encoding="utf-8")

    nowhere.trader("status", status=3)
    nowhere.trader("down", status=3)
    nowhere.trader("up", "--config", str(real), status=4)
    standing.trader("orders", "--limit", "many", status=2)
    standing.trader("halt", status=2)
    standing.trader("audit", "explain", "no-such-order", status=1)
    standing.trader("up", status=1)
    assert "did you mean 'engine'" in plain("config", "validate", str(unknown_key), status=4)


def test_a_trade_by_hand_is_found_by_the_documented_check_and_settled_as_documented(standing: StackUnderTest):
    """Comes last: books and exchange differ for a while, as the runbook describes."""
    sell_by_hand(standing, symbol="BTCUSDT", quantity="0.001")

    violations = standing.ask("invariants", status=6)["violations"]

    assert "balance_equals_exchange" in {violation["invariant"] for violation in violations}
    until(
        lambda: "SYSTEM_ERROR" in {alert["alert_type"] for alert in standing.ask("alerts", "--limit", "0")["alerts"]},
        seconds=40,
        what="an alarm about the difference",
    )
    (difference,) = until(lambda: standing.ask("reconcile", "show")["differences"], seconds=40, what="the difference")
    accepting, *again = [
        [str(difference["id"]) if argument == "7" else argument for argument in trader_arguments(line)]
        for line in ACCEPTING
    ]
    standing.trader(*accepting)
    assert standing.ask("reconcile", "show")["differences"] == []
    for arguments in again:
        standing.trader(*arguments, status=1)


def accepts_a_directory(arguments: list[str]) -> bool:
    return arguments[:2] not in (["config", "validate"], ["backtest", "run"])


def plain(*arguments: str, status: int = 0) -> str:
    """Run a command that is about no stack, where a newcomer would; return all that it said."""
    done = subprocess.run(
        [*TRADER, *arguments],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def sell_by_hand(stack: StackUnderTest, *, symbol: str, quantity: str) -> None:
    """Sell coins of the account `main` past the system, signed as Binance documents."""
    endpoints = stack.endpoints()
    keys = endpoints["exchange_accounts"]["main"]
    rest = endpoints["exchange_rest"]
    with urllib.request.urlopen(f"{rest}/api/v3/time", timeout=5) as answer:
        now_ms = json.loads(answer.read())["serverTime"]
    order = {"symbol": symbol, "side": "SELL", "type": "MARKET", "quantity": quantity, "timestamp": now_ms}
    query = urllib.parse.urlencode(order)
    signature = hmac.new(keys["api_secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"{rest}/api/v3/order?{query}&signature={signature}", method="POST", headers={"X-MBX-APIKEY": keys["api_key"]}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert json.loads(answer.read())["status"] == "FILLED"
