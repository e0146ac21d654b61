"""Every mistake in a configuration is refused before anything starts, and named with what to do."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.common.configuration import (
    InvalidConfigurationError,
    LiveConfiguration,
    TradingConfiguration,
    configuration_schema,
    load_configuration,
    load_sourced,
    parse_configuration,
)
from libs.common.configuration.changes import (
    AT_START,
    LOOSER_WHEN_GREATER,
    LOOSER_WHEN_SMALLER,
    STANDS_FOR,
    changes_between,
)
from libs.common.configuration.following import follow
from libs.common.configuration.keys import flat
from libs.common.configuration.presets import PRESET_KEYS, PRESETS
from libs.common.configuration.reading import NESTING_MAX, read_value
from libs.common.configuration.sections import EngineSection
from libs.common.contracts.events import ConfigurationChanged
from libs.common.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
SPECIFIED = """
{
    "engine": {"trading_interval": 300, "max_concurrent_positions": 5, "enable_paper_trading": false},
    "risk_management": {"daily_loss_limit_pct": 3.0, "position_size_pct": 2.0, "stop_loss_pct": 1.0,
        "take_profit_pct": 2.0},
    "symbols": ["BTC/USDT", "ETH/USDT"],
    "notifications": {"enabled": true, "channels": ["dashboard", "email"], "trade_notifications": true,
        "error_notifications": true}
}
"""


def loaded(directory: Path, *texts: str | bytes) -> TradingConfiguration:
    """Load files with these contents."""
    paths = []
    for number, text in enumerate(texts):
        path = directory / f"{number}.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        paths.append(path)
    return load_configuration(paths)


def test_the_example_of_the_specification_is_a_configuration(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, SPECIFIED)

    assert configuration.engine.trading_interval == 300
    assert not configuration.engine.enable_paper_trading
    assert configuration.risk_management.daily_loss_limit_pct == Decimal("3.0")
    assert configuration.symbols == ("BTC/USDT", "ETH/USDT")
    assert configuration.notifications.channels == ("dashboard", "email")
    assert configuration.quote_asset == "USDT"


def test_the_three_files_of_the_specification_are_one_configuration(tmp_path: Path) -> None:
    whole = json.loads(SPECIFIED)
    parts = [{key: whole[key]} for key in ("risk_management", "notifications")]
    trading = {key: whole[key] for key in ("engine", "symbols")}

    assert loaded(tmp_path, *map(json.dumps, [trading, *parts])) == loaded(tmp_path, SPECIFIED)


def test_what_is_left_out_has_the_defaults_of_the_specification(tmp_path: Path) -> None:
    assert loaded(tmp_path, "{}") == TradingConfiguration() == load_configuration([])


@pytest.mark.parametrize("name", ["demo.json", "crash.json"])
def test_the_demonstrations_are_configurations(name: str) -> None:
    assert load_configuration([ROOT / "config" / name]).engine.enable_paper_trading


def test_numbers_are_read_exactly(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, '{"risk_management": {"stop_loss_pct": 0.1}}')

    assert str(configuration.risk_management.stop_loss_pct) == "0.1"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert loaded(tmp_path, b"\xef\xbb\xbf" + SPECIFIED.encode()) == loaded(tmp_path, SPECIFIED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"engin": {}}', "engin: expected a known key, found 'engin'; did you mean 'engine'?"),
        (
            '{"engine": {"trading_intervall": 60}}',
            "a known key, found 'trading_intervall'; did you mean 'trading_interval'?",
        ),
        ('{"risk_management": {"daily_loss_limit": 3}}', "did you mean 'daily_loss_limit_pct'?"),
        ('{"market": {"generated": {"halts": [{"fors": 1}]}}}', "did you mean 'for_s'?"),
        ('{"engine": {"trading_interval": 0}}', "engine.trading_interval: expected greater"),
        ('{"engine": {"trading_interval": 7}}', "expected must divide a day"),
        ('{"engine": {"trading_interval": "soon"}}', "expected a valid integer"),
        ('{"engine": {"trading_interval": true}}', "engine.trading_interval: expected anything but a boolean"),
        ('{"engine": {"enable_paper_trading": 0}}', "engine.enable_paper_trading: expected true or false, found 0"),
        ('{"engine": {"enable_paper_trading": "no"}}', "expected true or false, found no"),
        ('{"engine": null}', "engine: expected a valid dictionary"),
        (
            '{"risk_management": {"stop_loss_pct": NaN}}',
            "stop_loss_pct: expected a finite number of at most 40 digits, found NaN",
        ),
        ('{"risk_management": {"stop_loss_pct": -Infinity}}', "a finite number of at most 40 digits, found -Infinity"),
        ('{"risk_management": {"stop_loss_pct": "NaN"}}', "risk_management.stop_loss_pct: expected a finite"),
        ('{"risk_management": {"stop_loss_pct": 0}}', "risk_management.stop_loss_pct"),
        ('{"risk_management": {"stop_loss_pct": 100.1}}', "risk_management.stop_loss_pct"),
        ('{"symbols": []}', "symbols"),
        ('{"symbols": ["BTCUSDT"]}', "symbols.0: expected text of the form"),
        ('{"symbols": ["BTC/USDT", "BTC/USDT"]}', "symbols: expected must be distinct, found twice: BTC/USDT"),
        ('{"symbols": ["BTC/USDT", "ETH/EUR"]}', "must share one quote currency, found EUR, USDT"),
        ('{"notifications": {"channels": ["E-Mail"]}}', "notifications.channels.0"),
        ('{"exchange": {"accounts": ["main", "main"]}}', "must be distinct"),
        ('{"safety": {"liquidate_on": ["API_CONNECTION_LOST"]}}', "nothing can be sold without the exchange"),
        ('{"engine": {}, "engine": {}}', "engine: expected each key once, found it twice"),
        ("[]", "expected a JSON object, found []"),
        ("", ":1:1: expected JSON"),
        ('{"engine": {}', "expected JSON"),
        (b"\xff\xfe", "expected UTF-8 text"),
    ],
)
def test_a_mistake_is_named_where_it_stands(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, text)

    assert message in str(refused.value)
    assert str(tmp_path / "0.json") in str(refused.value)


def test_a_section_that_stands_in_two_files_names_both(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, '{"engine": {}}', '{"symbols": ["BTC/USDT"], "engine": {}}')

    assert "1.json: engine" in str(refused.value)
    assert "0.json already" in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.json: expected a readable file, found No such file"):
        load_configuration([tmp_path / "nothing.json"])


def test_a_long_wrong_value_is_shown_in_part(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, json.dumps({"display": {"timezone": "x" * 10_000}}))

    assert len(str(refused.value)) < 1_000


def test_equal_configurations_have_one_hash_and_different_ones_another(tmp_path: Path) -> None:
    same = loaded(tmp_path, '{"risk_management": {"stop_loss_pct": 1.0}}')
    other = loaded(tmp_path, '{"risk_management": {"stop_loss_pct": 1.5}}')

    assert same.hash == TradingConfiguration().hash
    assert other.hash != same.hash
    assert len(same.hash) == 64


def test_every_key_of_the_schema_is_described() -> None:
    schema: dict[str, Any] = configuration_schema()
    undescribed = [
        f"{name}.{key}"
        for name, section in schema["$defs"].items()
        for key, entry in section.get("properties", {}).items()
        if not {"description", "$ref", "anyOf"} & entry.keys() and "$ref" not in json.dumps(entry)
    ]

    assert undescribed == ["ExchangeSection.accounts"]


def test_every_mistake_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        loaded(
            tmp_path,
            '{"engine": {"trading_intervall": 60, "max_concurrent_positions": 0}, "engine": {"trading_interval": 7}}',
            '{"risk_management": {"stop_loss_pct": NaN, "take_profit_pct": "much"}}',
            "{",
        )

    lines = str(refused.value).splitlines()
    assert len(lines) == len(refused.value.mistakes) == 5
    for place in ("0.json: engine", "1.json: risk_management.stop_loss_pct", "2.json:1:2"):
        assert any(place in line for line in lines)
    assert any("engine.trading_interval: expected must divide a day" in line for line in lines)
    assert any("take_profit_pct: expected a valid decimal, found much" in line for line in lines)


def test_of_very_many_mistakes_the_first_are_told_and_the_others_counted(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        loaded(tmp_path, json.dumps({"engine": {f"unknown_{number}": 1 for number in range(80)}}))

    assert str(refused.value).splitlines()[-1] == "and 30 more"


def test_the_schema_that_an_editor_wants_named_is_accepted(tmp_path: Path) -> None:
    assert loaded(tmp_path, '{"$schema": "config/schema.json"}') == TradingConfiguration()
    assert "$schema" in configuration_schema()["properties"]


def test_each_value_knows_where_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"engine": {"trading_mode": "MODERATE"}, "risk_management": {"stop_loss_pct": 0.5}}')
    environment = {"TRADER_CONFIG__SAFETY__SPREAD_RATE_MAX": "0.01", "TRADER_CONFIG_FILES": "[]", "HOME": "/"}

    sourced = load_sourced([path], environment)

    risk = sourced.configuration.risk_management
    assert (risk.stop_loss_pct, risk.daily_loss_limit_pct) == (Decimal("0.5"), Decimal("4.0"))
    assert sourced.configuration.safety.spread_rate_max == Decimal("0.01")
    assert sourced.origins["risk_management.stop_loss_pct"] == "file mine.json"
    assert sourced.origins["risk_management.daily_loss_limit_pct"] == "preset MODERATE"
    assert sourced.origins["safety.spread_rate_max"] == "environment TRADER_CONFIG__SAFETY__SPREAD_RATE_MAX"
    assert sourced.origins["display.language"] == "default"


def test_a_variable_stands_over_the_file_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"engine": {"trading_interval": 60}}')

    assert load_sourced([path], {"TRADER_CONFIG__ENGINE__TRADING_INTERVAL": "5"}).configuration.engine == EngineSection(
        trading_interval=5
    )
    with pytest.raises(InvalidConfigurationError, match="did you mean 'trading_interval'"):
        load_sourced([path], {"TRADER_CONFIG__ENGINE__INTERVAL": "5"})


@pytest.mark.parametrize("mode", PRESETS)
def test_a_preset_sets_the_figures_that_nobody_gave(tmp_path: Path, mode: str) -> None:
    configuration = loaded(tmp_path, json.dumps({"engine": {"trading_mode": mode, "max_concurrent_positions": 2}}))

    values = flat(configuration.model_dump(mode="json"))
    expected = {**PRESETS[mode], "engine.max_concurrent_positions": 2}
    assert {key: values[key] for key in PRESET_KEYS} == expected


def test_without_a_mode_the_figures_are_the_specifications() -> None:
    defaults = flat(TradingConfiguration().model_dump(mode="json"))

    assert {key: defaults[key] for key in PRESET_KEYS} == PRESETS["CONSERVATIVE"]


def test_what_was_written_whole_is_read_as_it_was(tmp_path: Path) -> None:
    first = loaded(tmp_path, '{"strategy": {"parameters": {"cost_rate": 0.0015, "ema_fast": 3}}}')

    again = loaded(tmp_path, first.canonical)

    assert (again, again.hash) == (first, first.hash)
    assert again.strategy.parameters == {"cost_rate": Decimal("0.0015"), "ema_fast": 3}


def test_every_key_of_the_tables_of_changes_exists() -> None:
    known = flat(TradingConfiguration().model_dump())

    assert known.keys() >= LOOSER_WHEN_GREATER | LOOSER_WHEN_SMALLER
    assert set(STANDS_FOR.values()) <= LOOSER_WHEN_GREATER
    assert all(any(key == name or key.startswith(f"{name}.") for key in known) for name in AT_START)


@pytest.mark.parametrize(
    ("before", "after", "loosens"),
    [
        ({"strategy": {}}, {"strategy": {"parameters": {"stop_loss_pct": 5}}}, True),
        ({"strategy": {}}, {"strategy": {"parameters": {"stop_loss_pct": "0.5"}}}, False),
        ({"strategy": {"parameters": {"stop_loss_pct": "0.5"}}}, {"strategy": {}}, True),
        ({"strategy": {"parameters": {"stop_loss_atr": 3}}}, {"strategy": {"parameters": {"stop_loss_atr": 4}}}, True),
        ({"strategy": {}}, {"strategy": {"parameters": {"stop_loss_pct": "wide"}}}, True),
        ({"strategy": {}}, {"strategy": {"parameters": {"ema_fast": 5}}}, False),
        ({"strategy": {}}, {"strategy": {"sizing": {"method": "risk_per_trade"}}}, True),
        ({"strategy": {"exit_after_s": 60}}, {"strategy": {}}, True),
        ({"strategy": {"exit_after_s": 60}}, {"strategy": {"exit_after_s": 61}}, True),
        ({"strategy": {"exit_after_s": 60}}, {"strategy": {"exit_after_s": 59}}, False),
        ({"strategy": {}}, {"strategy": {"exit_after_s": 60}}, False),
        ({"safety": {"liquidate_on": ["SYSTEM_ERROR"]}}, {"safety": {"liquidate_on": []}}, True),
        ({"safety": {"liquidate_on": []}}, {"safety": {"liquidate_on": ["SYSTEM_ERROR"]}}, False),
        ({"exchange": {}}, {"exchange": {"entry_lists": False}}, True),
        ({"exchange": {"entry_lists": False}}, {"exchange": {}}, False),
    ],
)
def test_a_change_that_lets_more_happen_is_known_as_one(
    *, before: dict[str, Any], after: dict[str, Any], loosens: bool
) -> None:
    (change,) = changes_between(*(parse_configuration(each, where="test") for each in (before, after)))

    assert change.loosens is loosens


def a_told_version(version: int, *, at_minute: int = 0, **sections: Any) -> ConfigurationChanged:
    configuration = parse_configuration(sections, where="test")
    return ConfigurationChanged(
        occurred_at=datetime(2026, 1, 5, 0, at_minute, tzinfo=UTC),
        version=version,
        configuration=configuration.canonical,
        hash=configuration.hash,
        issuer="alice",
    )


def test_a_process_follows_the_newest_version_with_its_own_start_keys() -> None:
    files = parse_configuration({"engine": {"trading_interval": 60}}, where="test")
    live = LiveConfiguration(files)

    for changed in (
        a_told_version(2, risk_management={"stop_loss_pct": 2}),
        a_told_version(4, risk_management={"stop_loss_pct": 4}, engine={"trading_interval": 60}),
        a_told_version(3, risk_management={"stop_loss_pct": 3}),
    ):
        follow(live, changed, started_with=files)

    assert (live.version, live.current.risk_management.stop_loss_pct) == (4, Decimal(4))
    assert live.current.engine.trading_interval == 60
    assert live.hash == live.current.hash


@pytest.mark.parametrize("content", ['{"from": "the future"}', "[]", "{", "7", '{"engine": {"trading_interval": 7}}'])
def test_a_version_that_cannot_be_used_leaves_the_one_in_force(content: str) -> None:
    live = LiveConfiguration(TradingConfiguration())

    follow(live, a_told_version(2).model_copy(update={"configuration": content}), started_with=TradingConfiguration())

    assert (live.version, live.current) == (1, TradingConfiguration())


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        (a_told_version(3, at_minute=3, safety={"crashes_max": 9}), 0),  # told twice
        (a_told_version(2, at_minute=2), 0),  # told twice, after the next one
        (a_told_version(4, at_minute=4), 0),
        (a_told_version(2, at_minute=5), 1),
        (a_told_version(3, at_minute=5), 1),
    ],
)
def test_a_version_that_was_made_anew_is_told_as_an_error(changed: ConfigurationChanged, errors: int) -> None:
    files = TradingConfiguration()
    live = LiveConfiguration(files)
    follow(live, a_told_version(3, at_minute=3, safety={"crashes_max": 9}), started_with=files)

    with capture_logs() as logs:
        follow(live, changed, started_with=files)

    assert [entry["log_level"] for entry in logs].count("error") == errors
    assert live.version == max(3, changed.version)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":[', "]}")])
def test_a_value_is_text_if_it_is_nested_deeper_than_any_key(opening: str, closing: str) -> None:
    nested = opening * NESTING_MAX + "[7]" + closing * NESTING_MAX

    assert read_value(nested) == nested
    assert read_value("[[7]]") == [[7]]
