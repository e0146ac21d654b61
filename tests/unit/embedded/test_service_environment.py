"""What a service is told by environment variables."""

from pathlib import Path

import pytest

from libs.common.configuration.loading import ENVIRONMENT_PREFIX
from libs.embedded.directory import DataDirectory
from libs.embedded.services import Service, python_module, service_spec


def test_variables_over_the_configuration_are_applied_once_so_that_options_beat_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENVIRONMENT_PREFIX}SYMBOLS", '["ETH/USDT"]')
    monkeypatch.setenv("TRADER_LOG_LEVEL", "debug")
    service = Service(name="any", command=python_module("any"), environment={"TRADER_CONFIG_FILES": "[]"})

    environment = service_spec(service, directory=DataDirectory(tmp_path), health_port=1).environment

    assert not any(name.startswith(ENVIRONMENT_PREFIX) for name in environment)
    assert environment["TRADER_LOG_LEVEL"] == "debug"
    assert environment["TRADER_CONFIG_FILES"] == "[]"
