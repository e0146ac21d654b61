"""A stack whose stores are elsewhere: services, their health, the endpoints, and the ways it ends."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from libs.embedded.errors import EmbeddedError
from libs.embedded.process import ProcessEvent
from libs.embedded.process_table import STACK_VARIABLE, read_table
from libs.embedded.services import Service, python_module
from libs.embedded.stack import External, Phase, Stack, open_stack, run_until_signal
from libs.embedded.supervisor import Job

ELSEWHERE = External(kafka="kafka.example:9092", postgres="postgresql://db.example/trader", redis="redis://r.example/0")

ANSWERS = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()

print(os.environ["GREETING"], os.environ["TRADER_STACK"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["TRADER_HEALTH_PORT"])), Handler).serve_forever()
"""


def a_service(**more: Any) -> Service:
    settings: dict[str, Any] = {
        "name": "risk_manager",
        "command": (sys.executable, "-c", ANSWERS),
        "environment": {"GREETING": "hello"},
        "depends_on": ("kafka", "migrations"),
        "ready_deadline_s": 10.0,
    }
    return Service(**settings | more)


def migrations(stack: Stack, seen: list[tuple[str, ...]]) -> Job:
    async def run() -> None:
        seen.append(tuple(row.name for row in stack.snapshot()))

    return Job(name="migrations", run=run, depends_on=("postgres",))


async def test_a_service_runs_after_its_job_and_is_ready_when_it_says_so(tmp_path: Path) -> None:
    events: list[ProcessEvent | Phase] = []
    seen: list[tuple[str, ...]] = []

    async with open_stack(tmp_path, external=ELSEWHERE, on_event=events.append) as stack:
        await stack.start([a_service()], [migrations(stack, seen)])

        (row,) = stack.snapshot()
        port = stack.port("risk_manager.health")
        assert (row.name, row.state, row.metrics_url) == (
            "risk_manager",
            "ready",
            f"http://127.0.0.1:{port}/metrics",
        )
        assert stack.directory.log_file("risk_manager").read_text().startswith(f"hello {tmp_path}\n")
        assert seen == [()]  # the job ran before any service
        assert [event.name for event in events if isinstance(event, Phase)] == ["ready"]
    assert not await asyncio.to_thread(read_table, stack.directory)


async def test_external_stores_are_not_started_and_stand_in_the_endpoints(tmp_path: Path) -> None:
    async with open_stack(tmp_path, external=ELSEWHERE) as stack:
        await stack.start()
        stack.write_endpoints({"dashboard": None})

        assert stack.snapshot() == ()
        assert json.loads(stack.directory.endpoints_file.read_text()) == {
            "data_dir": str(tmp_path),
            "kafka": ELSEWHERE.kafka,
            "redis": ELSEWHERE.redis,
            "postgres": ELSEWHERE.postgres,
            "dashboard": None,
        }
        assert stack.directory.endpoints_file.stat().st_mode & 0o777 == 0o600


async def test_a_service_that_refuses_its_configuration_ends_the_start_with_its_status(tmp_path: Path) -> None:
    refusing = a_service(command=(sys.executable, "-c", "raise SystemExit(4)"), depends_on=())

    with pytest.raises(EmbeddedError, match="risk_manager: expected it to become ready") as failed:
        async with open_stack(tmp_path, external=ELSEWHERE) as stack:
            await stack.start([refusing])
    assert failed.value.exit_status == 4


async def test_a_stack_runs_until_it_is_told(tmp_path: Path) -> None:
    async with open_stack(tmp_path, external=ELSEWHERE) as stack:
        await stack.start()
        await stack.run(asyncio.sleep(0.01))


async def test_a_signal_in_the_middle_of_a_start_stops_what_has_been_started(tmp_path: Path) -> None:
    events: list[ProcessEvent | Phase] = []

    async def start() -> None:
        async with open_stack(tmp_path, external=ELSEWHERE, on_event=events.append) as stack:
            asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGTERM)
            await stack.start([a_service(ready_path="/never", depends_on=())])

    assert await run_until_signal(start()) is signal.SIGTERM

    assert isinstance(events[-1], ProcessEvent)
    assert events[-1].state == "stopped"


async def test_work_that_ends_by_itself_was_ended_by_no_signal() -> None:
    assert await run_until_signal(asyncio.sleep(0)) is None


async def test_what_the_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise EmbeddedError("expected a thing, found none", hint="Look for it.")

    with pytest.raises(EmbeddedError, match="Look for it"):
        await run_until_signal(fail())


def test_a_module_runs_with_this_interpreter() -> None:
    assert python_module("services.notifier") == (sys.executable, "-m", "services.notifier")
    assert STACK_VARIABLE == "TRADER_STACK"
