"""`trader backtest run` as a user types it."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import ROOT, shell_lines
from tests.support.trader import TRADER
from tests.support.unmeasured import unmeasured_environment

DOCUMENTED = [
    line
    for line in shell_lines((ROOT / "docs" / "backtesting.md").read_text(encoding="utf-8"))
    if line.startswith("trader ")
]
A_WEEK = ("--to", "2020-03-08")


def trader(*arguments: str, status: int = 0, measured: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a backtest; going through candles is measured where it happens in a test's own process."""
    done = subprocess.run(
        [*TRADER, "backtest", "run", *arguments],
        cwd=ROOT,
        env=None if measured else unmeasured_environment(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


def report(*arguments: str, measured: bool = False) -> Any:
    return json.loads(trader(*arguments, "--json", measured=measured).stdout)


@pytest.mark.parametrize("line", DOCUMENTED)
def test_a_documented_backtest_runs(line: str):
    assert trader(*shlex.split(line)[3:]).stdout


def test_the_same_backtest_gives_the_same_bytes():
    arguments = (*A_WEEK, "--set", "stops=atr", "--json")

    assert trader(*arguments).stdout == trader(*arguments).stdout


def test_the_report_has_its_documented_keys():
    found = report(*A_WEEK)

    document = (ROOT / "docs" / "backtesting.md").read_text(encoding="utf-8").partition("## The report")[2]
    assert {f"| `{key}` |" for key in found} <= {
        line[: len(line.split(" | ")[0]) + 2] for line in document.splitlines()
    }
    for section in ("strategy", "candles", "costs", "signals", "equity", "statistics"):
        assert [key for key in found[section] if f"`{key}`" not in document] == []
    assert found["trades"]
    assert [key for key in found["trades"][0] if f"`{key}`" not in document] == []


def test_what_is_set_is_what_trades():
    found = report(
        *A_WEEK, "--set", "ema_fast=5", "--set", "strategy.quality_min=90", "--cash", "500", "--fee-rate", "0"
    )

    assert found["strategy"]["parameters"]["ema_fast"] == 5
    assert found["equity"]["start"] == "500"
    assert found["equity"]["fees"] == "0"
    assert all(trade["quality_score"] >= 90 for trade in found["trades"])


def test_a_stack_s_configuration_sets_interval_and_exits(tmp_path: Path):
    file = tmp_path / "configuration.json"
    file.write_text('{"engine": {"trading_interval": 900}, "strategy": {"stops": "atr"}}', encoding="utf-8")

    configured = report(*A_WEEK, "--config", str(file))
    overruled = report(*A_WEEK, "--config", str(file), "--interval", "300")

    assert configured["candles"]["interval_s"] == 900
    assert configured["strategy"]["parameters"]["stops"] == "atr"
    assert overruled["candles"]["interval_s"] == 300


def test_candles_of_ones_own_are_read_and_a_bad_row_is_named(tmp_path: Path):
    file = tmp_path / "candles.csv"
    lines = [f"{1_700_000_040 + 60 * place},100,101,99,100,5" for place in range(50)]
    file.write_text("\n".join(["ts,open,high,low,close,volume", *lines]), encoding="utf-8")
    steps = ("--symbol", "SOL/USDT", "--price-tick", "0.01", "--quantity-step", "0.001")

    found = report("--data", str(file), *steps, measured=True)
    file.write_text(file.read_text(encoding="utf-8").replace("99,100,5", "nan,100,5", 1), encoding="utf-8")
    complaint = trader("--data", str(file), *steps, status=1, measured=True).stderr

    assert (found["candles"]["count"], found["candles"]["source"], found["trades"]) == (50, "candles.csv", [])
    assert "row 2, column low: expected a number, found nan" in complaint


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--set", "ema_fats=3"), 4, "did you mean 'ema_fast'"),
        (("--set", "risk_managment.stop_loss_pct=1"), 4, "did you mean 'risk_management'"),
        (("--set", "strategy.name.x=1"), 4, "strategy.name: expected a valid string"),
        (("--strategy", "ema_kross"), 4, "did you mean 'ema_cross'"),
        (("--set", "ema_fast"), 2, "expected NAME=VALUE, found 'ema_fast'"),
        (("--set", "strategy.name=ema_cross", "--set", "strategy.name.x=1"), 4, "expected a key of a section"),
        (("--symbol", "ETH/USDT"), 2, "expected BTC/USDT, whose candles these are"),
        (("--symbol", "BTCUSDT"), 2, "expected a symbol such as BTC/USDT"),
        (("--interval", "90"), 2, "expected a multiple of the candles' 60 s"),
        (("--from", "yesterday"), 2, "--from, --to, --interval: "),
        (("--from", "2021-01-01"), 2, "expected candles within --from and --to, found none"),
        (("--cash", "0"), 2, "--cash: expected more than 0"),
        (("--cash", "much"), 2, "--cash: expected a number from 0, found 'much'"),
        (("--fee-rate", "0.5"), 2, "fee_rate: expected a fraction from 0 to less than 0.1"),
        (("--data", "nothing.csv"), 1, "expected a readable file, found No such file"),
    ],
)
def test_a_wrong_request_is_explained(arguments: tuple[str, ...], status: int, complaint: str):
    assert complaint in trader(*A_WEEK, *arguments, status=status, measured=True).stderr
