"""Every mistake in a configuration is refused before anything starts, and named with what to do."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.configuration import TradingConfiguration, configuration_schema, load_configuration
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
        ('{"notifications": {"channels": ["fax"]}}', "notifications.channels.0"),
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
