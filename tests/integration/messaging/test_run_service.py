"""A process starts, stops and fails in the same way, whichever service it is."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.eventually import eventually

ROOT = Path(__file__).parents[3]
NOWHERE = {"TRADER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TRADER_SECRETS_DIR": "/nonexistent"}


@dataclass
class Program:
    """A running service."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    async def port(self) -> int:
        async def started() -> int | None:
            return next((line["health_port"] for line in self.lines if line["event"] == "Started"), None)

        found = await eventually(started, what="a started service")
        return found or 0

    async def status(self, seconds: float = 20) -> int:
        return await asyncio.wait_for(self.process.wait(), timeout=seconds)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_that_is_told_to_stop_exits_with_0(tmp_path: Path, number: signal.Signals) -> None:
    async with program(tmp_path, "runs") as service:
        port = await service.port()
        await eventually(lambda: _answers(port, "/readyz"))

        service.process.send_signal(number)

        assert await service.status() == 0
        assert service.lines[-1]["event"] == "Stopped" or "Not everything was published" in service.text


async def test_a_bug_exits_with_1_and_names_it_without_its_secrets(tmp_path: Path) -> None:
    async with program(tmp_path, "crashes") as service:
        assert await service.status() == 1

    crash = next(line for line in service.lines if line["event"] == "Crashed")
    assert "KeyError" in crash["exception"]
    assert "canary-5e7f" not in service.text


@pytest.mark.parametrize("behaviour", ["ends", "loses its checks"])
async def test_a_service_that_lost_a_part_of_itself_exits_with_1(tmp_path: Path, behaviour: str) -> None:
    async with program(tmp_path, behaviour) as service:
        assert await service.status() == 1


@pytest.mark.parametrize("behaviour", ["lacks a secret", "lacks a key in a task"])
async def test_a_configuration_error_found_later_exits_with_4(tmp_path: Path, behaviour: str) -> None:
    async with program(tmp_path, behaviour) as service:
        assert await service.status() == 4

    assert "Configuration error" in service.text


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TRADER_HEALTH_PORT": "70000"}, "environment variable TRADER_HEALTH_PORT: expected Input should be less"),
        ({"TRADER_LOG_LEVEL": "LOUD"}, "environment variable TRADER_LOG_LEVEL"),
        ({"TRADER_CONFIG_FILES": "demo.json"}, "expected JSON where a list stands"),
        ({"TRADER_CONFIG_FILES": '["/nonexistent.json"]'}, "/nonexistent.json: expected a readable file"),
    ],
)
async def test_a_wrong_setting_exits_with_4_and_says_which(
    tmp_path: Path, environment: Mapping[str, str], message: str
) -> None:
    async with program(tmp_path, "runs", environment) as service:
        assert await service.status() == 4

    assert service.text.startswith("test_service: configuration error: ")
    assert message in service.text
    assert "Traceback" not in service.text


async def test_a_taken_port_exits_with_1_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with program(tmp_path, "runs", {"TRADER_HEALTH_PORT": str(port)}) as service:
            assert await service.status() == 1

    (line,) = service.lines
    assert "TRADER_HEALTH_PORT" in line["event"]
    assert line["port"] == port


async def test_a_service_that_does_not_stop_is_left_within_its_bound(tmp_path: Path) -> None:
    async with program(tmp_path, "does not stop") as service:
        await service.port()
        service.process.terminate()

        assert await service.status() == 1

    assert "did not stop in time" in service.text


@asynccontextmanager
async def program(
    tmp_path: Path, behaviour: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.service_program",
            behaviour,
            cwd=ROOT,
            env=os.environ | NOWHERE | dict(environment or {}),
            stdout=stream,
            stderr=stream,
        )
    try:
        yield Program(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _answers(port: int, path: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
