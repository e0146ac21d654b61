"""What an account has of its own, and how it goes with what all share: files, presets, versions, starts."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.configuration import (
    InvalidConfigurationError,
    LiveConfiguration,
    SourcedConfiguration,
    TradingConfiguration,
    load_sourced,
    parse_configuration,
)
from libs.common.configuration.accounts import accounts_of
from libs.common.configuration.changes import carried_over, changes_between, told_configuration, with_changes
from libs.common.configuration.loading import ORIGINS, source
from libs.common.configuration.sections import OWN_SAFETY
from libs.policy import limits_of


def parsed(**content: Any) -> TradingConfiguration:
    return parse_configuration(content, where="test")


def sourced(**content: Any) -> SourcedConfiguration:
    """Return what a file says."""
    return source(content, {}, where="test")


def sizes(configuration: TradingConfiguration) -> dict[str, Decimal]:
    """Return the size of a position by account."""
    return {
        name: configuration.for_account(name).risk_management.position_size_pct
        for name in configuration.exchange.accounts
    }


def changed(before: SourcedConfiguration, **changes: str) -> SourcedConfiguration:
    by_key = {name.replace("__", "."): value for name, value in changes.items()}
    return with_changes(before, by_key, origin="version 2 by alice", where="config set")


def test_without_the_section_there_is_one_account_main() -> None:
    configuration = parsed()

    assert configuration.exchange.accounts == ("main",)
    assert configuration.for_account("main") is configuration


def test_the_section_names_the_accounts_and_what_one_does_not_say_is_as_in_the_common_sections() -> None:
    configuration = parsed(
        risk_management={"position_size_pct": "1.5"},
        accounts={"zoe": {}, "amy": {"safety": {"order_notional_max": 50}, "risk_management": None}},
    )

    assert configuration.exchange.accounts == ("zoe", "amy")
    assert configuration.for_account("zoe") == configuration
    own = configuration.for_account("amy")
    assert (own.safety.order_notional_max, own.risk_management.position_size_pct) == (Decimal(50), Decimal("1.5"))
    assert own.symbols == configuration.symbols


def test_the_order_of_the_accounts_survives_storing_and_telling() -> None:
    configuration = parsed(accounts={"zoe": {}, "amy": {"safety": {"order_notional_max": 50}}})

    assert told_configuration(configuration.canonical, {}, version=1).configuration == configuration


def test_an_account_that_says_nothing_makes_no_other_configuration() -> None:
    assert parsed(accounts={"main": {"safety": {}}}).hash == parsed().hash


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"exchange": {"accounts": ["main", "second"]}, "accounts": {"secnd": {}}},
            "accounts.secnd: expected one of exchange.accounts (main, second), found 'secnd'; did you mean 'second'?",
        ),
        (
            {"accounts": {"main": {"safety": {"order_notional_maxx": 1}}}},
            "accounts.main.safety.order_notional_maxx: expected a known key, found 'order_notional_maxx'; did you mean",
        ),
        ({"accounts": {"main": {"riskmanagement": {}}}}, "found 'riskmanagement'; did you mean 'risk_management'?"),
        (
            {"accounts": {"main": {"risk_management": {"stop_loss_pct": 1}}}},
            "found 'stop_loss_pct'; all accounts share risk_management.stop_loss_pct: set that",
        ),
        ({"accounts": {"main": {"symbols": ["BTC/USDT"]}}}, "found 'symbols'; all accounts share symbols: set that"),
        (
            {"accounts": {"main": {"safety": {"refusals_max": 11}}}},
            "expected accounts.main: refusals_max: at most refusals_of, found 11 of 10",
        ),
        ({"accounts": {"Main": {}}}, "accounts.Main: expected text of the form"),
        ({"accounts": ["main"]}, "accounts: expected a valid dictionary"),
        ({"accounts": {"main": []}}, "accounts.main: expected a valid dictionary"),
        ({"accounts": {"main": {}}, "exchange": {"accounts": "main"}}, "exchange.accounts: expected a valid tuple"),
        ({"accounts": {"main": {}}, "exchange": 7}, "exchange: expected a valid dictionary"),
    ],
)
def test_a_mistake_in_an_account_is_named_where_it_stands(content: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfigurationError) as caught:
        parsed(**content)

    assert message in str(caught.value)


def test_every_limit_of_an_account_may_be_its_own() -> None:
    """Every number that the core is given comes from the account's own section where that has one."""
    common = parsed(exchange={"accounts": ["main", "second"]})
    own = parsed(
        exchange={"accounts": ["main", "second"]},
        accounts={
            "second": {
                "engine": {"max_concurrent_positions": 2},
                "risk_management": {"daily_loss_limit_pct": "1", "position_size_pct": "0.5"},
                "strategy": {"sizing": {"method": "risk_per_trade", "risk_pct": "0.01"}},
                "safety": {
                    **dict.fromkeys(OWN_SAFETY, 11),
                    **dict.fromkeys([key for key in OWN_SAFETY if key.endswith(("_rate", "_fraction"))], "0.25"),
                    "liquidate_on": ["SYSTEM_ERROR"],
                    "refusals_max": 3,
                    "refusals_of": 4,
                },
            }
        },
    )
    shared = {"volatility_rate_max", "spread_rate_max", "data_age_ms_max", "quality_min", "base_fee_rate_max"}

    limits, before = (limits_of(each.for_account("second"), equity=Decimal(100)) for each in (own, common))

    same = {name for name in before.__slots__ if getattr(limits, name) == getattr(before, name)}
    assert same == shared
    assert limits.exposure_notional_max == 11  # 11 % of 100
    assert limits_of(own.for_account("main"), equity=Decimal(100)) == before


@pytest.mark.parametrize(
    ("content", "main", "second"),
    [
        ({}, "2.0", "8.0"),
        ({"engine": {"trading_mode": "MODERATE"}}, "4.0", "8.0"),
        ({"risk_management": {"position_size_pct": "1"}}, "1", "1"),  # a number given explicitly wins
        ({"accounts": {"risk_management": {"position_size_pct": "3"}}}, "2.0", "3"),
        ({"accounts": {"risk_management": {"position_size_pct": None}}}, "2.0", "8.0"),
    ],
)
def test_an_account_has_the_preset_of_its_own_mode_where_nobody_gave_a_number(
    content: dict[str, Any], main: str, second: str
) -> None:
    own = {"engine": {"trading_mode": "AGGRESSIVE"}, **content.get("accounts", {})}

    configuration = parsed(**{**content, "accounts": {"main": {}, "second": own}})

    assert sizes(configuration) == {"main": Decimal(main), "second": Decimal(second)}
    assert (
        configuration.for_account("second").risk_management.stop_loss_pct == configuration.risk_management.stop_loss_pct
    )


def test_each_value_of_an_account_knows_where_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    own = {"engine": {"trading_mode": "MODERATE"}, "safety": {"order_notional_max": 50}}
    path.write_text(json.dumps({"accounts": {"main": {}, "second": own}}), encoding="utf-8")

    variable = "TRADER_CONFIG__ACCOUNTS__SECOND__SAFETY__DRAWDOWN_PCT_MAX"

    found = load_sourced([path], {variable: "4"})

    assert found.configuration.for_account("second").safety.drawdown_pct_max == 4
    origins = {key: value for key, value in found.origins.items() if "accounts" in key}
    assert origins == {
        "exchange.accounts": "file mine.json",
        "accounts.second.engine.trading_mode": "file mine.json",
        "accounts.second.engine.max_concurrent_positions": "preset MODERATE",
        "accounts.second.risk_management.daily_loss_limit_pct": "preset MODERATE",
        "accounts.second.risk_management.position_size_pct": "preset MODERATE",
        "accounts.second.safety.order_notional_max": "file mine.json",
        "accounts.second.safety.drawdown_pct_max": f"environment {variable}",
    }


def test_what_was_written_whole_is_read_as_it_was(tmp_path: Path) -> None:
    first = sourced(accounts={"main": {}, "second": {"engine": {"trading_mode": "AGGRESSIVE"}}})
    path = tmp_path / "configuration.json"
    content = {ORIGINS: dict(first.origins), **first.configuration.model_dump(mode="json")}
    path.write_text(json.dumps(content), encoding="utf-8")

    again = load_sourced([path])

    assert (again.configuration, again.origins) == (first.configuration, first.origins)
    assert again.configuration.hash == first.configuration.hash


def test_an_account_takes_its_own_value_back_by_null() -> None:
    before = sourced(accounts={"main": {}, "second": {"safety": {"order_notional_max": 50}}})

    after = changed(before, accounts__second__safety__order_notional_max="null")

    assert after.configuration == parsed(exchange={"accounts": ["main", "second"]})
    (change,) = changes_between(before.configuration, after.configuration)
    assert (str(change), change.loosens) == ("accounts.second.safety.order_notional_max: 50 -> unset", True)


def test_a_figure_given_for_all_holds_for_an_account_with_a_mode_of_its_own_too() -> None:
    before = sourced(accounts={"main": {}, "second": {"engine": {"trading_mode": "AGGRESSIVE"}}})

    after = changed(before, risk_management__position_size_pct="1")
    calmer = changed(before, accounts__second__engine__trading_mode="MODERATE")

    assert sizes(after.configuration) == {"main": 1, "second": 1}
    assert after.configuration.for_account("second").engine.max_concurrent_positions == 10
    assert sizes(calmer.configuration) == {"main": 2, "second": 4}


@pytest.mark.parametrize(
    ("before", "after", "loosens"),
    [
        ({}, {"safety": {"order_notional_max": 99_999}}, False),  # the common one is 100 000
        ({}, {"safety": {"order_notional_max": 100_001}}, True),
        ({"safety": {"order_notional_max": 200_000}}, {}, False),
        ({}, {"safety": {"messages_kept_rate": "0.4"}}, True),
        ({}, {"strategy": {"sizing": {"method": "risk_per_trade"}}}, True),
        ({"safety": {"liquidate_on": ["SYSTEM_ERROR"]}}, {}, True),
    ],
)
def test_what_lets_an_account_do_more_is_known(*, before: dict[str, Any], after: dict[str, Any], loosens: bool) -> None:
    names = {"exchange": {"accounts": ["main", "second"]}}

    (change,) = changes_between(*(parsed(**names, accounts={"second": own}) for own in (before, after)))

    assert change.loosens is loosens


def test_a_start_takes_the_names_and_new_accounts_from_its_files_and_keeps_what_is_stored_of_the_others() -> None:
    old = {"safety": {"order_notional_max": 10}}
    stored = changed(
        sourced(accounts={"main": old, "leaves": old}),
        accounts__main__safety__order_notional_max="20",
        risk_management__position_size_pct="1",
    )
    started = sourced(accounts={"main": old, "comes": {**old, "engine": {"trading_mode": "AGGRESSIVE"}}})

    held = carried_over(stored, started).configuration

    assert held.exchange.accounts == ("main", "comes")
    assert [held.for_account(name).safety.order_notional_max for name in ("main", "comes")] == [20, 10]
    assert sizes(held) == {"main": 1, "comes": 1}  # as the operator gave it for all
    assert held.for_account("comes").engine.max_concurrent_positions == 10


def test_a_version_from_before_the_section_is_read_as_it_was() -> None:
    content = TradingConfiguration().model_dump(mode="json", exclude={"accounts"})
    content["exchange"]["accounts"] = ["main", "second"]

    told = told_configuration(json.dumps(content), {}, version=3).configuration

    assert told == parsed(exchange={"accounts": ["main", "second"]})


def test_the_live_configuration_of_an_account_is_that_of_the_newest_version() -> None:
    live = LiveConfiguration(parsed(accounts={"main": {}, "second": {"safety": {"order_notional_max": 50}}}))
    assert live.of("second").safety.order_notional_max == 50

    live.accept(2, parsed(accounts={"main": {}, "second": {"safety": {"order_notional_max": 60}}}))

    assert live.of("second").safety.order_notional_max == 60
    assert live.of("main") is live.current


def test_a_change_is_about_the_accounts_whose_own_values_it_sets_or_about_all() -> None:
    assert accounts_of(["accounts.main.safety.drawdown_pct_max", "accounts.second.engine.trading_mode"]) == frozenset(
        {"main", "second"}
    )
    assert accounts_of(["accounts.main.safety.drawdown_pct_max", "safety.drawdown_pct_max"]) is None
    assert accounts_of(["accounts"]) is accounts_of(["accounts.main"]) is None  # whole sections
