"""One embedded stack under trading load, and everything that is done to it.

Invariant: what is killed here is a process of this stack, by the id that its supervisor knows.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from cli.operating import operate, standing_halts
from cli.place import Place
from cli.stack.composition import Composition
from libs.common.clock import SystemClock
from libs.common.configuration import TradingConfiguration, load_configuration, parse_configuration
from libs.common.contracts.events.control import CommandName
from libs.common.errors import RetryableError
from libs.embedded.backoff import Backoff
from libs.embedded.process import ProcessEvent, ProcessState
from libs.embedded.services import Service
from libs.embedded.stack import External, Phase, Stack, open_stack
from tests.chaos.journal_tail import JournalTail

ACCOUNT: Final = "main"
EXECUTOR: Final = "trade_executor"
STANDBY: Final = "trade_executor_standby"
TRADING: Final = Path(__file__).with_name("trading.json")
FENCE_MS: Final = 1_400
QUARANTINE_S: Final = 6.0
"""The fence's terms, a tenth of the real ones: two symbols have to keep trading."""
SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    EXECUTOR: {"TRADER_FENCE_MS": str(FENCE_MS), "TRADER_QUARANTINE_S": str(QUARANTINE_S)},
    "paper_exchange": {"PAPER_EXCHANGE_ADMIN_PORT": "0"},
}
PROMPT: Final = Backoff(longest_s=0.2)
"""The supervisor's patience with a crashing process is not what is tested."""
LOOK_S: Final = 0.02
UNREACHABLE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


class Unsettled(Exception):  # noqa: N818 - told as a finding, not as an error of the program
    """The stack did not do in time what it must: the message says what."""


@dataclass(slots=True)
class History:
    """When processes became ready, and for how long not all of them were."""

    ready_at_s: dict[str, float] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)
    unready_s: float = 0.0
    _since_s: float = 0.0

    def note(self, event: ProcessEvent | Phase) -> None:
        """Take note of a change."""
        if not isinstance(event, ProcessEvent):
            return
        now_s = asyncio.get_running_loop().time()
        if self.unready:
            self.unready_s += now_s - self._since_s
        self._since_s = now_s
        if event.state is ProcessState.READY:
            self.ready_at_s[event.process] = now_s
            self.unready.discard(event.process)
        else:
            self.unready.add(event.process)


@dataclass(slots=True)
class Arena:
    """A running stack."""

    stack: Stack
    place: Place
    history: History
    tail: JournalTail
    clock: SystemClock = field(default_factory=SystemClock)
    _connection: Any = None

    async def query(self, statement: str, *parameters: object) -> Sequence[Mapping[str, Any]]:
        """Read the database under the reader's role, with one connection that is made anew when it breaks.

        Raises:
            Unsettled: It cannot be read within a minute.
        """
        ends_s = _now_s() + 60.0
        while True:
            try:
                return await self.query_now(statement, *parameters)
            except UNREACHABLE as error:
                if _now_s() > ends_s:
                    raise Unsettled(f"expected an answer of the database within 60 s, found {error!r}") from error
                await asyncio.sleep(0.2)

    async def query_now(self, statement: str, *parameters: object) -> Sequence[Mapping[str, Any]]:
        """Read the database without waiting for it.

        Raises:
            OSError, PostgresError, InterfaceError, TimeoutError: It is away.
        """
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self.place.endpoints["postgres"], timeout=10, command_timeout=10)
        try:
            return [dict(row) for row in await self._connection.fetch(statement, *parameters)]
        except UNREACHABLE:
            self._connection.terminate()
            raise

    def pid(self, name: str) -> int | None:
        """Return a process's id, None while it has none."""
        return next(status.pid for status in self.stack.snapshot() if status.name == name)

    def kill(self, name: str) -> None:
        """Kill a process without warning."""
        self._signal(name, signal.SIGKILL)

    def freeze(self, name: str) -> int | None:
        """Stop a process and what it has started; return what `thaw` needs."""
        return self._signal(name, signal.SIGSTOP)

    @staticmethod
    def thaw(group: int | None) -> None:
        """Let a frozen process go on."""
        if group is not None:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> int | None:
        pid = self.pid(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, number)  # each is the head of a session of its own
        return pid

    async def flush_redis(self) -> None:
        """Forget everything that Redis holds."""
        client: Redis = Redis.from_url(self.stack.addresses.redis, socket_timeout=2, socket_connect_timeout=2)
        try:
            await client.flushall()
        finally:
            await client.aclose()

    async def poison(self, topic: str) -> None:
        """Put a message that nobody can read on a topic."""
        producer = AIOKafkaProducer(bootstrap_servers=self.stack.addresses.kafka, request_timeout_ms=5_000)
        async with asyncio.timeout(10):
            await producer.start()
            try:
                await producer.send_and_wait(topic, value=b'{"schema_version": 999, "quantity": NaN', key=b"main")
            finally:
                await producer.stop()

    def is_ready(self) -> bool:
        """Return whether everything is."""
        return all(status.ready for status in self.stack.snapshot())

    async def until_ready(self, killed: Collection[str], *, since_s: float, seconds: float) -> float:
        """Wait until the killed are ready again and everything is; return how long it took from `since_s`.

        Raises:
            Unsettled: It takes longer.
        """
        while True:
            ready_at_s = self.history.ready_at_s
            if all(ready_at_s[name] > since_s for name in killed) and self.is_ready():
                return _now_s() - since_s
            if _now_s() - since_s > seconds:
                missing = [status.name for status in self.stack.snapshot() if not status.ready]
                raise Unsettled(f"expected everything ready within {seconds:g} s, found {missing} not ready")
            await asyncio.sleep(LOOK_S)

    async def command(
        self, command: CommandName, reason: str, *, changes: Mapping[str, str] | None = None, seconds: float = 60.0
    ) -> None:
        """Command the account until it is obeyed.

        Raises:
            Unsettled: It is not in time.
        """
        ends_s, found = _now_s() + seconds, ""
        while _now_s() < ends_s:
            try:
                clears = await standing_halts(self.place, ACCOUNT) if command == "RESUME" else ()
                outcome = await operate(
                    self.place, command, account=ACCOUNT, reason=reason, clears=tuple(clears), changes=changes
                )
            except RetryableError as error:
                found = str(error)
            else:
                if outcome.refusal is None and not outcome.missing:
                    return
                found = outcome.refusal or f"no answer of {', '.join(outcome.missing)}"
            await asyncio.sleep(0.5)
        raise Unsettled(f"expected {command} to be obeyed within {seconds:g} s, found: {found}")


@asynccontextmanager
async def open_arena(
    root: Path,
    *,
    seed: int,
    standby: bool = False,
    settings: Mapping[str, Mapping[str, str]] = SETTINGS,
    change: Callable[[Service], Service] = lambda service: service,
    configured: Mapping[str, Mapping[str, Any]] | None = None,
    external: External | None = None,
) -> AsyncIterator[Arena]:
    """Start a stack that trades as often as it can; leaving it stops the stack.

    Args:
        root: Its data directory.
        seed: Of its market.
        standby: Run a second executor beside the first.
        settings: Environment variables by service.
        change: What else is different about a service.
        configured: What else is configured, by section.
        external: Stores that run already.

    Raises:
        EmbeddedError: It does not start.
    """
    history = History()
    configuration = _configuration(seed, configured or {})
    async with open_stack(root, external=external or External(), on_event=history.note) as stack:
        composition = Composition(stack=stack, configuration=configuration, start_active=True)
        composition.prepare()
        services = [change(_prompt(service, settings.get(service.name, {}))) for service in composition.services()]
        if standby:
            services = _with_standby(services)
        await stack.start(services, composition.jobs())
        endpoints = composition.endpoints()
        stack.write_endpoints(endpoints)
        written = json.loads(stack.directory.endpoints_file.read_text(encoding="utf-8"))
        tail = JournalTail(composition.exchange_dir / "journal")
        arena = Arena(stack, Place(stack.directory, written), history, tail)
        supervising = asyncio.ensure_future(stack.run(asyncio.Event().wait()))
        try:
            yield arena
        finally:
            supervising.cancel()
            await asyncio.wait({supervising})


def _configuration(seed: int, configured: Mapping[str, Mapping[str, Any]]) -> TradingConfiguration:
    content = load_configuration([TRADING]).model_dump(mode="json")
    content["market"]["seed"] = seed
    for section, values in configured.items():
        content[section] |= values
    return parse_configuration(content, where="chaos")


def _prompt(service: Service, settings: Mapping[str, str]) -> Service:
    return replace(service, environment={**service.environment, **settings}, backoff=PROMPT)


def _with_standby(services: Sequence[Service]) -> list[Service]:
    executor = next(service for service in services if service.name == EXECUTOR)
    second = replace(executor, name=STANDBY, depends_on=(*executor.depends_on, EXECUTOR))
    return [*services, second]


def _now_s() -> float:
    return asyncio.get_running_loop().time()
