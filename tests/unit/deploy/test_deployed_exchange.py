"""A deployment's paper exchange runs the market that the configuration names."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cli.deployment import paper_exchange


@pytest.mark.parametrize(
    ("market", "told"),
    [
        ({}, {"PAPER_EXCHANGE_MARKET": "recorded", "PAPER_EXCHANGE_SPEED": "1"}),
        ({"source": "generated", "seed": 5}, {"PAPER_EXCHANGE_MARKET": "generated", "PAPER_EXCHANGE_SEED": "5"}),
    ],
)
def test_the_exchange_is_told_what_the_configuration_means(
    market: dict[str, str], told: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    configuration = tmp_path / "configuration.json"
    configuration.write_text(
        json.dumps({"market": market, "symbols": ["ETH/USDT"], "exchange": {"accounts": ["main", "second"]}})
    )
    monkeypatch.setenv("TRADER_CONFIG_FILES", json.dumps([str(configuration)]))
    became: list[tuple[str, Sequence[str], Mapping[str, str]]] = []

    paper_exchange.main(
        {"TRADER_DATA_DIR": "/data", "PAPER_EXCHANGE_HEALTH_PORT": "8080"},
        lambda program, arguments, variables: became.append((program, arguments, variables)),
        tmp_path,
    )

    ((program, arguments, variables),) = became
    assert (program, *arguments[1:]) == (sys.executable, "-m", "services.paper_exchange")
    assert told.items() <= variables.items()
    assert variables["PAPER_EXCHANGE_SYMBOLS"] == "ETHUSDT"
    assert variables["PAPER_EXCHANGE_ACCOUNTS"] == "main,second"
    assert variables["PAPER_EXCHANGE_DATA_DIR"] == "/data/paper_exchange"
    assert (variables["PAPER_EXCHANGE_HOST"], variables["PAPER_EXCHANGE_PORT"]) == ("0.0.0.0", "9000")
    assert variables["PAPER_EXCHANGE_HEALTH_PORT"] == "8080"
    assert ("PAPER_EXCHANGE_SCENARIO_FILE" in variables) == (market.get("source") == "generated")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"market": {"source": "binance"}}, "market.source: expected recorded or generated, found binance"),
        ({"exchange": {"accounts": ["main", "visitor"]}}, "exchange.accounts: expected accounts of the system's own"),
    ],
)
def test_what_the_exchange_of_a_deployment_cannot_run_is_refused(
    content: dict[str, object],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    configuration = tmp_path / "configuration.json"
    configuration.write_text(json.dumps(content))
    monkeypatch.setenv("TRADER_CONFIG_FILES", json.dumps([str(configuration)]))
    became: list[str] = []

    with pytest.raises(SystemExit) as ended:
        paper_exchange.main({"TRADER_DATA_DIR": "/data"}, lambda program, *_: became.append(program), tmp_path)

    assert ended.value.code == 4
    assert f"{configuration}: {said}" in capsys.readouterr().err
    assert became == []
