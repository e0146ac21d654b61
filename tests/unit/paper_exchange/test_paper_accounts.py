"""The accounts of the paper exchange: each is funded once, and has keys that stay."""

import json
from pathlib import Path

import pytest

from libs.common.errors import ConfigurationError
from services.paper_exchange.api.keys import Permission, load_or_create_keys
from services.paper_exchange.exchange import openings_of
from services.paper_exchange.settings import load_settings
from services.paper_exchange.venue.rules import UNIT
from services.paper_exchange.venue.venue import Opening
from tests.unit.paper_exchange.paper_exchange_builders import VenueBench


def test_each_account_that_is_traded_has_three_keys_and_the_visitor_two(tmp_path: Path):
    keys = load_or_create_keys(tmp_path / "keys.json", ("main", "second"))

    of_second = {name: key.permissions for name, key in keys.items() if key.account == "second"}
    assert of_second == {
        "second": frozenset(Permission),
        "second-reader": frozenset({Permission.USER_DATA}),
        "second-watchdog": frozenset(Permission),
    }
    assert {name for name, key in keys.items() if key.account == "visitor"} == {"visitor", "visitor-ed25519"}
    assert len({key.api_key for key in keys.values()}) == len(keys) == 8


def test_an_account_that_comes_later_gets_keys_and_all_others_keep_theirs(tmp_path: Path):
    path = tmp_path / "keys.json"
    before = load_or_create_keys(path, ("main",))

    after = load_or_create_keys(path, ("main", "second"))

    assert {name: after[name] for name in before} == before
    assert json.loads(path.read_text())["second"]["api_key"] == after["second"].api_key
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create_keys(path, ("main",)) == after


@pytest.mark.parametrize("accounts", [("main", "main-reader"), ("visitor-ed25519",)])
def test_names_whose_keys_could_be_mistaken_are_refused(tmp_path: Path, accounts: tuple[str, ...]):
    with pytest.raises(ConfigurationError, match="names whose keys can be told apart"):
        load_or_create_keys(tmp_path / "keys.json", accounts)


def test_every_account_is_funded_as_main_is():
    openings = openings_of(("main", "second"))

    assert {(each.asset, each.units) for each in openings if each.account == "second"} == {
        ("USDT", 10_000 * UNIT),
        ("BTC", UNIT // 20),
        ("ETH", UNIT // 2),
        ("BNB", 2 * UNIT),
    }
    assert {each.account for each in openings} == {"main", "second", "visitor"}


def test_an_account_that_comes_later_is_funded_once(tmp_path: Path):
    bench = VenueBench(tmp_path)
    before = bench.money("main")
    bench.venue.close()

    bench.openings = (*bench.openings, Opening("late", "USDT", 7 * UNIT))
    bench.start()
    assert bench.money("late") == {"USDT": (7 * UNIT, 0)}
    bench.venue.close()
    bench.start()

    assert bench.money("late") == {"USDT": (7 * UNIT, 0)}
    assert bench.money("main") == before
    lines = [json.loads(line) for path in tmp_path.glob("journal-*") for line in path.read_text().splitlines()]
    transfers = [change for line in lines for change in line["changes"] if change["type"] == "transfer"]
    assert [change["account"] for change in transfers].count("late") == 1


def test_the_accounts_are_a_setting(monkeypatch: pytest.MonkeyPatch):
    assert load_settings().accounts == ("main",)
    monkeypatch.setenv("PAPER_EXCHANGE_ACCOUNTS", "main, second")

    assert load_settings().accounts == ("main", "second")

    monkeypatch.setenv("PAPER_EXCHANGE_ACCOUNTS", "Main")
    with pytest.raises(ConfigurationError, match="PAPER_EXCHANGE_ACCOUNTS"):
        load_settings()
