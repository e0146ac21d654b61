"""What `trader up` was asked for."""

from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from cli.errors import CommandError, ExitStatus
from cli.stack.demonstrations import CRASH, DEMO, differences
from cli.stack.plan import PAPER_MARKETS, Plan, make_plan
from libs.common.errors import ConfigurationError
from services.paper_exchange.settings import PaperExchangeSettings


def a_plan(files: list[Path] | None = None, **options: Any) -> Plan:
    without = dict.fromkeys(("market", "seed", "symbols", "run_for", "report_file"))
    return make_plan(files, **{**without, **options})


def test_without_options_the_demonstration_runs_until_it_is_stopped():
    plan = a_plan()

    assert plan.files == (DEMO,)
    assert plan.start_active
    assert plan.run_for is None
    assert plan.report_file is None


def test_only_a_demonstration_of_ours_alone_starts_active(tmp_path: Path):
    copy = tmp_path / "demo.json"
    copy.write_text(DEMO.read_text(encoding="utf-8"), encoding="utf-8")

    assert a_plan([CRASH]).start_active
    assert not a_plan([copy]).start_active


def test_options_are_laid_over_the_configuration(tmp_path: Path):
    report_file = tmp_path / "runs" / "run.json"

    plan = a_plan(market="generated", seed=7, symbols=" ETH/USDT, ", run_for="2m", report_file=report_file)

    assert plan.configuration.market.source == "generated"
    assert plan.configuration.market.seed == 7
    assert plan.configuration.symbols == ("ETH/USDT",)
    assert plan.run_for == timedelta(minutes=2)
    assert plan.report_file == report_file
    assert list(report_file.parent.iterdir()) == [], "the check leaves nothing behind"


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match="--report") as caught:
        a_plan(report_file=tmp_path / "file" / "run.json")

    assert caught.value.status is ExitStatus.USAGE


def test_the_markets_offered_are_those_of_the_paper_exchange():
    known = get_args(get_args(PaperExchangeSettings.model_fields["symbols"].annotation)[0])

    assert {symbol.replace("/", "") for symbol in PAPER_MARKETS} == set(known)


def test_what_a_configuration_changes_is_told_as_its_file_has_it():
    told = differences(a_plan().configuration)

    assert "strategy.exit_after_s: null -> 60" in told
    assert "risk_management.position_size_pct: 2.0 -> 0.1" in told
    assert 'strategy.stops: "percent" -> "atr"' in told


def test_the_account_of_other_programs_is_not_traded(tmp_path: Path):
    path = tmp_path / "mine.json"
    path.write_text('{"accounts": {"main": {}, "visitor": {}}}', encoding="utf-8")

    with pytest.raises(ConfigurationError, match="visitor, which the paper exchange keeps for other programs"):
        a_plan([path])
