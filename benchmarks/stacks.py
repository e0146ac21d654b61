"""Stacks to measure: a fresh data directory, the shipped composition, progress on standard error."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cli.stack.composition import Composition
from cli.stack.demonstrations import DEMO
from libs.common.configuration import TradingConfiguration, load_configuration, parse_configuration
from libs.embedded.process import ProcessEvent, ProcessState
from libs.embedded.services import Service
from libs.embedded.stack import Phase, Stack, open_stack
from libs.embedded.supervisor import Job

T = TypeVar("T")


class BenchmarkError(Exception):
    """There is nothing to measure: the message says what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Change:
    """A process has entered a state, at a time of the event loop's clock."""

    process: str
    state: ProcessState
    at_s: float


@dataclass(slots=True)
class History:
    """What happened to the processes of a stack, oldest first."""

    changes: list[Change] = field(default_factory=list)

    def note(self, event: ProcessEvent | Phase) -> None:
        """Take note of a change; the steps of the start follow from them."""
        if isinstance(event, ProcessEvent):
            self.changes.append(Change(event.process, event.state, asyncio.get_running_loop().time()))

    def first(self, process: str, state: ProcessState) -> float:
        """Return when a process first entered a state.

        Raises:
            LookupError: It never did.
        """
        for change in self.changes:
            if change.process == process and change.state is state:
                return change.at_s
        message = f"{process}: expected it to have been {state}, found that it never was"
        raise LookupError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What runs beside the composition, and what of it does not run.

    Attributes:
        without: Services of the composition that are not started.
        services: Added services, made when the addresses are known, and `jobs` likewise.
    """

    without: Collection[str] = ()
    services: Callable[[Stack], Sequence[Service]] = lambda _stack: ()
    jobs: Callable[[Stack], Sequence[Job]] = lambda _stack: ()


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that is ready, and what happened on the way."""

    stack: Stack
    composition: Composition
    history: History


def say(message: str) -> None:
    """Tell how far the run is."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def load() -> float:
    """Return the machine's load average of the last minute: others may be using it too."""
    return round(os.getloadavg()[0], 2)


def demo(**market: Any) -> TradingConfiguration:
    """Return the first run's configuration with another market."""
    content = load_configuration([DEMO]).model_dump(mode="json")
    content["market"] |= market
    return parse_configuration(content, where="benchmark")


@contextmanager
def data_directory() -> Iterator[Path]:
    """Lend an empty directory that the account of Postgres may pass through."""
    with tempfile.TemporaryDirectory(prefix="trader-bench-", ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


async def with_stack(
    configuration: TradingConfiguration,
    measure: Callable[[RunningStack], Awaitable[T]],
    *,
    extras: Extras = Extras(),
) -> T:
    """Start a stack, measure it, stop it.

    Raises:
        EmbeddedError: It does not start.
    """
    history = History()
    with data_directory() as root:
        async with open_stack(root / "stack", on_event=history.note) as stack:
            composition = Composition(stack=stack, configuration=configuration, start_active=True)
            composition.prepare()
            services = [service for service in composition.services() if service.name not in extras.without]
            say("  starting a stack")
            await stack.start([*services, *extras.services(stack)], [*composition.jobs(), *extras.jobs(stack)])
            say(f"  ready after {stack.time_to_ready_s:.1f} s")
            measuring = asyncio.ensure_future(measure(RunningStack(stack, composition, history)))
            try:
                await stack.run(measuring)
            finally:
                measuring.cancel()
            return measuring.result()


def write_json(path: Path, content: object) -> None:
    """Write a result."""
    path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
