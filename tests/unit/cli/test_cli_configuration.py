"""What `trader config` makes of its arguments before it speaks to a stack, and where a start's values come from."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.commands.configuration import _report, set_values
from cli.errors import CommandError, ExitStatus
from cli.operating import Outcome
from cli.place import Place
from cli.stack.plan import make_plan
from cli.versions import differing_files
from libs.common.configuration import load_sourced
from libs.common.control.commands import issue_command
from libs.common.control.operators import OperatorKey
from libs.embedded.directory import DataDirectory


@pytest.mark.parametrize(
    ("assignments", "reason", "told"),
    [
        (["engine.trading_interval"], "why", "expected KEY=VALUE, each key once, found 'engine.trading_interval'"),
        (["=5"], "why", "found '=5'"),
        (["a=1", "a=2"], "why", "found 'a=2'"),
        (["a=1"], "  ", "--reason: expected a reason"),
    ],
)
def test_what_is_no_assignment_is_an_error_of_usage(assignments: list[str], reason: str, told: str, tmp_path: Path):
    with pytest.raises(CommandError) as refused:
        set_values(assignments, reason, data_dir=tmp_path)

    assert told in refused.value.message
    assert refused.value.status == ExitStatus.USAGE


def test_a_start_tells_values_of_options_variables_and_files_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRADER_CONFIG__SAFETY__CALM_AFTER_S", "20")

    plan = make_plan(None, market="generated", seed=None, symbols=None, run_for=None, report_file=None)

    assert plan.configuration.safety.calm_after_s == 20
    assert plan.origins["safety.calm_after_s"] == "environment TRADER_CONFIG__SAFETY__CALM_AFTER_S"
    assert plan.origins["market.source"] == "option"
    assert plan.origins["market.seed"] == "file demo.json"
    assert plan.origins["safety.spread_rate_max"] == "default"


def test_only_what_the_file_says_otherwise_is_told(tmp_path: Path):
    directory = DataDirectory(tmp_path)
    directory.create()
    (directory.run / "configuration.json").write_text(
        '{"risk_management": {"stop_loss_pct": 1.5}, "engine": {"trading_interval": 60}, "symbols": ["BTC/USDT"]}'
    )
    stored = load_sourced([])

    differing = differing_files(
        Place(directory, {}),
        {
            "version": 3,
            "configuration": stored.configuration.model_dump(mode="json"),
            "origins": dict(stored.origins),
        },
    )

    assert differing == {"risk_management.stop_loss_pct": "1.5"}


def test_whoever_got_no_answer_is_told_until_when_the_change_may_still_be_made():
    command = issue_command(
        "CONFIGURE",
        account="main",
        reason="a trial",
        issuer="alice",
        key=OperatorKey.generate(),
        command_id=uuid.uuid4(),
        now=datetime(2026, 1, 5, 12, 0, tzinfo=UTC),
        changes={"safety.crashes_max": "2"},
    )
    outcome = Outcome(command=command, paths=["kafka"], failed_paths={}, answers=(), acknowledged_ms=None)

    with pytest.raises(CommandError) as missed:
        _report(outcome, as_json=False)

    assert f"until {command.expires_at:%H:%M:%S} UTC" in missed.value.hint
