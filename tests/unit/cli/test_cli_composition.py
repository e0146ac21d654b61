"""Which process of a stack gets which environment variables."""

import json
from pathlib import Path

import pytest

from cli.stack.composition import PASSED_ON, PASSED_ON_TO, Composition
from cli.stack.exchange_keys import write_key_files
from libs.common.configuration import TradingConfiguration, parse_configuration
from libs.embedded.services import Service
from libs.embedded.stack import External, open_stack
from services.paper_exchange.api.keys import load_or_create_keys
from services.watchdog.settings import Settings

ELSEWHERE = External(kafka="kafka.example:9092", postgres="postgresql://db.example/trader", redis="redis://r.example/0")
DIRECT = {
    "TRADER_WEBHOOK_URL": "https://example.com/hook",
    "TRADER_WEBHOOK_URLS_FILE": "/etc/trader/webhooks",
    "TRADER_HEARTBEAT_URL": "https://example.com/beat",
    "TRADER_HEARTBEAT_INTERVAL_S": "30",
}


async def services_of(
    root: Path, variables: dict[str, str], configuration: TradingConfiguration | None = None
) -> dict[str, Service]:
    async with open_stack(root, external=ELSEWHERE) as stack:
        composition = Composition(
            stack=stack,
            configuration=configuration or TradingConfiguration(),
            start_active=False,
            variables=variables,
        )
        return {service.name: service for service in composition.services()}


async def test_the_direct_channel_and_the_outside_heartbeat_reach_the_watchdog_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = await services_of(tmp_path, DIRECT)

    told = {name: service.environment for name, service in services.items() if service.environment.keys() & DIRECT}
    assert told.keys() == {"watchdog"}
    for name, value in told["watchdog"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert str(settings.webhook_url) == DIRECT["TRADER_WEBHOOK_URL"]
    assert str(settings.webhook_urls_file) == DIRECT["TRADER_WEBHOOK_URLS_FILE"]
    assert str(settings.heartbeat_url) == DIRECT["TRADER_HEARTBEAT_URL"]
    assert settings.heartbeat_interval_s == 30


async def test_an_operators_key_is_the_commands_own(tmp_path: Path) -> None:
    services = await services_of(tmp_path, {"TRADER_OPERATOR_KEY_FILE": "/keys/alice.pem", "TRADER_DATA_DIR": "/data"})

    given = {name for service in services.values() for name in service.environment}
    assert not given & {"TRADER_OPERATOR_KEY_FILE", "TRADER_DATA_DIR"}


async def test_a_log_level_is_that_of_every_service_of_ours(tmp_path: Path) -> None:
    services = await services_of(tmp_path, {"TRADER_LOG_LEVEL": "DEBUG"})

    levels = {name: service.environment.get("TRADER_LOG_LEVEL") for name, service in services.items()}
    assert levels.pop("paper_exchange") is None  # its variables begin with PAPER_EXCHANGE_
    assert set(levels.values()) == {"DEBUG"}


async def test_a_variable_is_passed_on_however_it_is_written(tmp_path: Path) -> None:
    services = await services_of(tmp_path, {"Trader_log_level": "DEBUG"})

    assert services["watchdog"].environment["TRADER_LOG_LEVEL"] == "DEBUG"


async def test_what_is_not_set_is_not_passed_on(tmp_path: Path) -> None:
    services = await services_of(tmp_path, {})

    passed_on = {*PASSED_ON, *PASSED_ON_TO["watchdog"]}
    assert not any(service.environment.keys() & passed_on for service in services.values())


async def test_the_exchange_opens_every_account_and_each_service_gets_its_own_key_of_each(tmp_path: Path) -> None:
    two = parse_configuration({"accounts": {"main": {}, "second": {}}}, where="test")
    services = await services_of(tmp_path, {}, two)
    keys = load_or_create_keys(tmp_path / "keys.json", two.exchange.accounts)

    write_key_files(tmp_path / "keys.json", lambda right: tmp_path / f"{right}.json")

    assert services["paper_exchange"].environment["PAPER_EXCHANGE_ACCOUNTS"] == "main,second"
    written = {right: json.loads((tmp_path / f"{right}.json").read_text()) for right in ("trade", "read", "watchdog")}
    assert {right: {name: key["api_key"] for name, key in entries.items()} for right, entries in written.items()} == {
        "trade": {"main": keys["main"].api_key, "second": keys["second"].api_key},
        "read": {"main": keys["main-reader"].api_key, "second": keys["second-reader"].api_key},
        "watchdog": {"main": keys["main-watchdog"].api_key, "second": keys["second-watchdog"].api_key},
    }
