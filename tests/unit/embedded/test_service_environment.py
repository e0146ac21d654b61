"""What a service is told by environment variables."""

from pathlib import Path

import pytest

from libs.common.configuration.loading import ENVIRONMENT_PREFIX
from libs.common.settings import ServiceSettings
from libs.embedded.directory import DataDirectory
from libs.embedded.services import WITHHELD_PREFIX, Service, python_module, service_spec


def test_a_service_has_the_variables_of_ours_that_it_is_given_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_OURS", "kept")
    monkeypatch.setenv("TRADER_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("trader_topic_prefix", "not-theirs-")
    monkeypatch.setenv("TRADER_WEBHOOK_URL", "https://example.com/secret")
    monkeypatch.setenv(f"{ENVIRONMENT_PREFIX}SYMBOLS", '["ETH/USDT"]')
    service = Service(name="any", command=python_module("any"), environment={"TRADER_CONFIG_FILES": "[]"})

    environment = service_spec(service, directory=DataDirectory(tmp_path), health_port=1).environment

    ours = {name: value for name, value in environment.items() if name.upper().startswith("TRADER_")}
    assert ours == {"TRADER_CONFIG_FILES": "[]", "TRADER_HEALTH_PORT": "1", "TRADER_STACK": str(tmp_path)}
    assert environment["NOT_OURS"] == "kept"


def test_the_withheld_prefix_covers_settings_and_configuration() -> None:
    assert ServiceSettings.model_config["env_prefix"] == WITHHELD_PREFIX
    assert ENVIRONMENT_PREFIX.startswith(WITHHELD_PREFIX)
