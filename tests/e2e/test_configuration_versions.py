"""A running stack with two accounts: each trades by its own limits, and what is configured changes at once for good."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import CommandFailed, StackUnderTest, directory_of_stacks, until

DEMO = Path(__file__).parents[2] / "config" / "demo.json"
APPROVED_WITH = "SELECT count(*) AS orders FROM risk_decisions WHERE approved AND configuration_version = $1"
HASHES = """
    SELECT count(DISTINCT configuration_hash) AS hashes, min(configuration_hash) AS hash FROM system_status
    WHERE component <> 'watchdog'
"""
UNBOUND = """
    SELECT count(*) FILTER (WHERE version.hash IS NULL) AS unbound, count(*) > 0 AS any
    FROM intents AS intent LEFT JOIN configuration_versions AS version ON version.version = intent.configuration_version
"""
VERSIONS = "SELECT configuration_version AS version FROM auto_trading_config WHERE account = 'main' ORDER BY id"
NOTIONALS = """
    SELECT account, max(notional) AS notional FROM risk_decisions WHERE approved AND role = 'ENTRY' GROUP BY account
"""
FILLS = "SELECT count(*) AS fills FROM fills WHERE account = $1"
REFUSED = {
    "risk_management.stop_loss_pct=0": "stop_loss_pct: expected greater than 0, found 0",
    "risk_management.stop_los_pct=1": "did you mean 'stop_loss_pct'",
    "engine.trading_interval=60": "start again with it",
    "strategy.parameters.ema_slow=1": "ema_slow",
}
"""What cannot be set, and what a person is told."""


SECOND = {"engine": {"max_concurrent_positions": 1}, "risk_management": {"position_size_pct": 0.3}}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[StackUnderTest, Path]]:
    """Return a stack of two accounts that may open positions, and a directory for files."""
    with directory_of_stacks() as directory:
        stack = StackUnderTest(directory / "stack")
        stack.start("--config", a_file(directory))
        try:
            stack.trader("start")
            stack.trader("start", "--account", "second")
            yield stack, directory
        finally:
            with suppress(CommandFailed):  # it does not run any more
                stack.stop()


def a_file(directory: Path, **sections: Any) -> str:
    """Return a file like the demonstration's, with two accounts and some sections changed."""
    content = {**json.loads(DEMO.read_text(encoding="utf-8")), "accounts": {"main": {}, "second": SECOND}}
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section}
    path = directory / "mine.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def origin(stack: StackUnderTest, key: str) -> str:
    return str(stack.ask("config", "show")["origins"][key])


def test_two_accounts_trade_by_their_own_limits_and_one_is_halted_alone(running: tuple[StackUnderTest, Path]):
    stack, _ = running

    def fills(account: str) -> int:
        return int(stack.query(FILLS, account)[0]["fills"])

    def state(account: str) -> str:
        return str(stack.ask("status", "--account", account)["trading_state"])

    until(lambda: fills("main") and fills("second"), seconds=120, what="a fill of each account")
    notionals = {row["account"]: row["notional"] for row in stack.query(NOTIONALS)}
    # 10,000 USDT x 0.1 % and 0.3 %; the equity may have moved, and quantities are rounded down
    assert 5 < notionals["main"] < 11
    assert 20 < notionals["second"] < 31

    halted = stack.ask("halt", "--account", "second", "--reason", "only this one")
    assert halted["state"] == "HALTED"
    known = fills("main")
    until(lambda: fills("main") > known, seconds=120, what="a fill of the account that is not halted")
    assert (state("main"), state("second")) == ("ACTIVE", "HALTED")
    assert set(stack.endpoints()["exchange_accounts"]) == {"main", "second", "visitor"}
    report = stack.ask("invariants")
    assert report["violations"] == []
    assert report["checked"]["fill_is_recorded_once"] > 1
    assert stack.ask("audit", "verify")["verified"]

    stack.trader("resume", "--account", "second", "--reason", "it was a drill")
    assert (state("main"), state("second")) == ("ACTIVE", "REDUCING")


def test_a_change_is_stored_told_and_applied_without_a_restart_and_outlives_one(running: tuple[StackUnderTest, Path]):
    stack, tmp_path = running
    stack.trader("stop", "--account", "second")
    assert stack.ask("config", "show")["version"] == 1
    assert origin(stack, "engine.trading_interval") == "file mine.json"
    assert origin(stack, "safety.spread_rate_max") == "default"

    evening = (
        *("config", "set", "risk_management.position_size_pct=0.2", "strategy.quality_min=20"),
        "risk_management.daily_loss_limit_pct=2.5",
        "accounts.second.risk_management.position_size_pct=0.2",
        *("strategy.parameters.ema_fast=2", "--reason", "a larger size for the evening"),
    )
    with pytest.raises(CommandFailed, match="position_size_pct would allow more than before while main may open"):
        stack.trader(*evening)
    stack.trader("stop")
    changed = stack.ask(*evening)
    stack.trader("start")

    assert changed["version"] == 2
    assert "allows more than before: risk_management.position_size_pct" in changed["note"]
    until(lambda: stack.query(APPROVED_WITH, 2)[0]["orders"], seconds=60, what="an approval under version 2")
    shown = stack.ask("config", "show")
    assert shown["configuration"]["risk_management"]["position_size_pct"] == "0.2"
    assert origin(stack, "strategy.parameters.ema_fast") == "version 2 by operator"
    assert " of 2.5 %" in stack.trader("status")
    everybody = {"hashes": 1, "hash": shown["hash"]}
    until(lambda: stack.query(HASHES)[0] == everybody, seconds=20, what="every process with version 2")

    assert stack.query(UNBOUND)[0] == {"unbound": 0, "any": True}  # each order names the version that allowed it

    for assignment, why in REFUSED.items():
        with pytest.raises(CommandFailed, match=why):  # it expects the status 0
            stack.trader("config", "set", assignment, "--reason", "a try")
        stack.trader("config", "set", assignment, "--reason", "a try", status=4)
    assert stack.ask("config", "show")["version"] == 2
    stack.stop()

    stack.start("--config", a_file(tmp_path, risk_management={"stop_loss_pct": 1.5}, exchange={"recv_window_ms": 900}))

    again = stack.ask("config", "show")
    assert again["version"] == 3  # the receive window of this start
    assert again["configuration"]["exchange"]["recv_window_ms"] == 900
    assert again["configuration"]["risk_management"]["position_size_pct"] == "0.2"
    assert again["configuration"]["accounts"]["second"]["risk_management"] == {"position_size_pct": "0.2"}
    differing = {row["key"]: row["file"] for row in again["files_differ"]}
    assert differing["risk_management.stop_loss_pct"] == "1.5"
    assert differing["accounts.second.risk_management.position_size_pct"] == "0.3"
    assert "exchange.recv_window_ms" not in differing
    told = (stack.data_dir / "logs" / "trader.log").read_text(encoding="utf-8")
    assert "warning: the file says risk_management.stop_loss_pct = 1.5, but version 3 holds" in told
    versions = stack.ask("config", "history")["versions"]
    assert [row["issuer"] for row in versions] == ["risk_manager", "operator", "risk_manager"]
    assert versions[1]["reason"] == "a larger size for the evening"
    until(
        lambda: [row["version"] for row in stack.query(VERSIONS)] == [1, 2, 3],
        seconds=20,
        what="every version in auto_trading_config",
    )
