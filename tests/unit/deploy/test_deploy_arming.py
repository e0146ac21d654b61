"""The profile `live` starts nothing unless everything is said and given that trading for real needs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli.stack.plan
from cli.__main__ import app
from cli.deployment.arming import objections
from cli.deployment.secrets import LIVE_KEYS
from cli.errors import CommandError, ExitStatus
from libs.common.configuration import TradingConfiguration
from libs.common.settings import ServiceSettings

REAL = TradingConfiguration.model_validate({"engine": {"enable_paper_trading": False}})
ARMED = {"TRADER_LIVE_ARMED": "other, main"}
RUNNER = CliRunner()
KEYS = {"main": {"api_key": "CANARY", "api_secret": "CANARY"}}


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    for name in LIVE_KEYS:
        (tmp_path / name).write_text(json.dumps(KEYS))
    return ServiceSettings(secrets_dir=tmp_path, installation="a1b2c3")


def test_nothing_stands_against_what_is_whole(settings: ServiceSettings):
    assert list(objections(settings, REAL, ARMED)) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"exchange_rest_url": "http://paper_exchange:9000"}, "TRADER_EXCHANGE_REST_URL"),
        ({"exchange_ws_url": "ws://paper_exchange:9000"}, "TRADER_EXCHANGE_WS_URL"),
        ({"installation": "paper0"}, "TRADER_INSTALLATION"),
        ({"start_active": True}, "TRADER_START_ACTIVE"),
    ],
)
def test_each_setting_of_the_paper_installation_stands_against_it(
    settings: ServiceSettings, changes: dict[str, str | bool], named: str
):
    (found,) = objections(settings.model_copy(update=changes), REAL, ARMED)

    assert found.startswith(f"{named}: expected")


def test_a_paper_configuration_stands_against_it(settings: ServiceSettings):
    (found,) = objections(settings, TradingConfiguration(), ARMED)

    assert found.startswith("engine.enable_paper_trading")


@pytest.mark.parametrize("said", [{}, {"TRADER_LIVE_ARMED": ""}, {"TRADER_LIVE_ARMED": "Main"}])
def test_an_account_that_is_not_named_stands_against_it(settings: ServiceSettings, said: dict[str, str]):
    (found,) = objections(settings, REAL, said)

    assert found.startswith("TRADER_LIVE_ARMED")


@pytest.mark.parametrize("name", LIVE_KEYS)
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "No such file"),
        ("CANARY", "something else"),
        ("[]", "something else"),
        ("{}", "something else"),
        (json.dumps({"main": {"api_key": "CANARY", "api_secret": ""}}), "an empty key"),
    ],
)
def test_a_key_file_that_cannot_be_used_stands_against_it(
    settings: ServiceSettings, name: str, content: str | None, found: str
):
    path = settings.secrets_dir / name
    path.unlink()
    if content is not None:
        path.write_text(content)

    (objection,) = objections(settings, REAL, ARMED)

    assert objection.startswith(f"{path}: expected JSON")
    assert found in objection
    assert "CANARY" not in objection


def environment(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, paper: bool) -> None:
    (tmp_path / "live.json").write_text(json.dumps({"engine": {"enable_paper_trading": paper}}))
    monkeypatch.setenv("TRADER_CONFIG_FILES", json.dumps([str(tmp_path / "live.json")]))
    monkeypatch.setenv("TRADER_SECRETS_DIR", str(settings.secrets_dir))
    monkeypatch.setenv("TRADER_INSTALLATION", settings.installation)
    monkeypatch.setenv("TRADER_LIVE_ARMED", "main")
    for right in ("trade", "read", "watchdog"):
        (tmp_path / f"exchange-{right}").mkdir()


def installed(directory: Path) -> list[Path]:
    return sorted(directory.glob("exchange-*/keys.json"))


def test_the_command_refuses_and_says_why(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    environment(settings, monkeypatch, tmp_path, paper=True)

    refused = RUNNER.invoke(app, ["secrets", "arm", f"--into={tmp_path}"]).exception

    assert isinstance(refused, CommandError)
    assert refused.status is ExitStatus.CONFIGURATION
    assert "engine.enable_paper_trading" in refused.message
    assert installed(tmp_path) == []


def test_this_version_refuses_what_is_armed(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    environment(settings, monkeypatch, tmp_path, paper=False)

    refused = RUNNER.invoke(app, ["secrets", "arm", f"--into={tmp_path}"]).exception

    assert isinstance(refused, CommandError)
    assert "this version trades on its own paper exchange only" in refused.message
    assert installed(tmp_path) == []


def test_a_version_that_does_not_gives_each_service_its_key(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    environment(settings, monkeypatch, tmp_path, paper=False)
    monkeypatch.setattr(cli.stack.plan, "check_startable", lambda *_, **__: None)

    RUNNER.invoke(app, ["secrets", "arm", f"--into={tmp_path}"], catch_exceptions=False)

    assert [json.loads(path.read_text()) for path in installed(tmp_path)] == [KEYS] * 3
