"""A halt of something that does not exist is refused before anything is sent; no missing file prevents a real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands.state import halt, resume
from cli.errors import CommandError, ExitStatus
from cli.place import Place
from cli.scope import check_choice, check_scope, told_scope
from libs.embedded.directory import DataDirectory


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Place]:
    """Return a stack whose stores are all away: nothing answers under its endpoints."""
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    (directory.run / "configuration.json").write_text('{"symbols": ["BTC/USDT", "ETH/USDT"]}')
    with directory.locked():
        directory.endpoints_file.write_text("{}")
        yield Place(directory, {})


def refusal(place: Place, **scope: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        check_scope(place, consequence="Nothing was halted.", **scope)
    assert caught.value.status is ExitStatus.USAGE
    return caught.value


@pytest.mark.parametrize("symbol", ["BTCUSDT", "btc/usdt", "BTC-USDT", "BTC/USD"])
def test_a_market_that_is_nearly_right_is_refused_with_the_right_one(running: Place, symbol: str):
    error = refusal(running, symbol=symbol)

    assert error.message == (
        f"--symbol: expected a market of this stack (BTC/USDT, ETH/USDT), found {symbol}. Nothing was halted."
    )
    assert error.hint == "did you mean BTC/USDT?"


def test_a_market_that_is_like_none_is_refused_without_a_guess(running: Place):
    assert refusal(running, symbol="XRP/EUR").hint == ""


def test_an_unknown_strategy_or_account_is_refused(running: Place):
    assert "(ema_cross), found ema_crosss." in refusal(running, strategy="ema_crosss").message
    assert "(main), found mian." in refusal(running, account="mian").message


def test_what_the_stack_has_is_accepted(running: Place):
    check_scope(running, account="main", symbol="ETH/USDT", strategy="ema_cross")
    check_scope(running)


@pytest.mark.parametrize("content", [None, "{", '{"symbols": 7}', "\0"])
def test_without_a_usable_configuration_only_the_form_is_checked(running: Place, content: str | None):
    path = running.directory.run / "configuration.json"
    path.unlink() if content is None else path.write_text(content)

    check_scope(running, account="second", symbol="DOGE/USDT", strategy="anything")

    assert refusal(running, symbol="DOGEUSDT").message == (
        "--symbol: expected a market such as BTC/USDT, found DOGEUSDT. Nothing was halted."
    )
    assert "such as main" in refusal(running, account="Main").message


def test_a_halt_of_an_unknown_market_leaves_no_trace(running: Place):
    with pytest.raises(CommandError, match=r"found DOGE/USDT\. Nothing was halted\."):
        halt(reason="a drill", symbol="DOGE/USDT", data_dir=running.directory.root)

    assert not running.halt_dir.exists()


def test_a_resume_of_an_unknown_market_asks_no_store(running: Place):
    with pytest.raises(CommandError, match=r"found DOGE/USDT\. Nothing was resumed\."):
        resume(reason="a drill", symbol="DOGE/USDT", data_dir=running.directory.root)


def test_a_choice_is_refused_with_all_there_are():
    with pytest.raises(CommandError, match=r"--state: expected a state \(OPEN, CLOSED\), found OPENED") as caught:
        check_choice("--state", "OPENED", ("OPEN", "CLOSED"), what="a state")

    assert caught.value.hint == "did you mean OPEN?"


def test_a_scope_is_told_in_words():
    assert told_scope("main") == "everything of main"
    assert told_scope("main", symbol="BTC/USDT") == "BTC/USDT of main"
    assert told_scope("main", symbol="BTC/USDT", strategy="ema_cross") == "BTC/USDT with ema_cross of main"
