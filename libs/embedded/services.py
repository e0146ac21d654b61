"""Services of a stack: Python modules that answer for themselves over HTTP."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from libs.embedded.backoff import Backoff
from libs.embedded.directory import DataDirectory
from libs.embedded.errors import EXIT_CONFIGURATION
from libs.embedded.process import ProcessSpec
from libs.embedded.process_table import STACK_VARIABLE
from libs.embedded.stores.store import LOOPBACK

READY_PATH = "/readyz"
METRICS_PATH = "/metrics"
USAGE_STATUS = 2
WITHHELD_PREFIX = "TRADER_"
"""Variables of ours are for the command, however they are written (settings tell no case apart); a service has those
that it is given. What stands over configuration files is in the files that services are given, under the options."""
_OK = b"200"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process of the caller's.

    Attributes:
        name: Unique in the stack.
        command: What to run; `python -m module` is `python_module(module)`.
        environment: Added to this process's own environment without the variables of ours: those must be given here.
        depends_on: Stores, jobs and services that come before it.
        health_port_variable: The environment variable that tells it its health port.
        ready_path: Answers 200 when it can do its work.
        stop_timeout_s: How long it may take to stop in order.
        ready_deadline_s: How long its first start may take.
        backoff: Delays between its restarts.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    health_port_variable: str = "TRADER_HEALTH_PORT"
    ready_path: str = READY_PATH
    stop_timeout_s: float = 5.0
    ready_deadline_s: float = 60.0
    backoff: Backoff = field(default_factory=Backoff)


def python_module(module: str) -> tuple[str, ...]:
    """Return the command that runs a module with this interpreter."""
    return (sys.executable, "-m", module)


def service_spec(service: Service, *, directory: DataDirectory, health_port: int) -> ProcessSpec:
    """Return how to run a service in the working directory of this process."""
    return ProcessSpec(
        name=service.name,
        command=service.command,
        log_file=directory.log_file(service.name),
        environment={
            **{name: value for name, value in os.environ.items() if not name.upper().startswith(WITHHELD_PREFIX)},
            "PYTHONDONTWRITEBYTECODE": "",  # without byte code a restart takes ten seconds longer
            "PYTHONSAFEPATH": "1",  # a folder of the user's that is called like a package of ours is not ours
            "PYTHONUNBUFFERED": "1",  # the last lines before a crash are the ones that matter
            **service.environment,
            service.health_port_variable: str(health_port),
            STACK_VARIABLE: str(directory.root),
        },
        working_directory=Path.cwd(),
        depends_on=service.depends_on,
        ready=answers_ok(health_port, service.ready_path),
        stop_timeout_s=service.stop_timeout_s,
        ready_deadline_s=service.ready_deadline_s,
        final_statuses=frozenset({USAGE_STATUS, EXIT_CONFIGURATION}),
        backoff=service.backoff,
        metrics_url=f"http://{LOOPBACK}:{health_port}{METRICS_PATH}",
    )


def answers_ok(port: int, path: str) -> Callable[[], Awaitable[bool]]:
    """Return a question: does GET of the path answer 200? It takes one packet each way and no HTTP library."""
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode()

    async def ask() -> bool:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            return False
        try:
            writer.write(request)
            status_line = await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        return status_line.split()[1:2] == [_OK]

    return ask
