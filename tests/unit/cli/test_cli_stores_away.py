"""What the commands say while a store is away: nothing false, and they go on."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

import cli.__main__ as entry
from cli import control_channel, examination, operating
from cli import status as status_module
from cli.commands import configuration, watching
from cli.control_channel import ControlChannel
from cli.errors import CommandError, ExitStatus
from cli.examination import examine
from cli.finding import Finding
from cli.holdings import HoldingsWatch
from cli.operating import operate
from cli.place import Place
from cli.stack.live import LiveView
from cli.stack.plain import PlainView
from libs.common.contracts.events.control import ControlCommanded
from libs.common.control.commands import issue_command
from libs.common.control.operators import OperatorKey
from libs.common.errors import RetryableError
from libs.embedded.directory import DataDirectory
from tests.support.virtual_time import VirtualClock, run_in_virtual_time

NOWHERE = {
    "postgres": "postgresql://nobody:nothing@127.0.0.1:1/nowhere",
    "redis": "redis://127.0.0.1:1/0",
    "kafka": "127.0.0.1:1",
    "exchange_rest": "http://127.0.0.1:1",
}
KEY = OperatorKey.generate()


class FakeDatabase:
    """A pool that is there; what is asked of it is away."""

    @classmethod
    async def connect(cls, *_: object, **__: object) -> Self:
        return cls()

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    directory = DataDirectory(tmp_path)
    directory.create()
    return Place(directory, NOWHERE)


async def away(*_: object, **__: object) -> Any:
    raise RetryableError("the database is away")


async def seconds_of(work: Awaitable[None], seconds: float) -> None:
    """Let work go on for so long."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(seconds)
    assert not task.done(), "it ended"
    task.cancel()
    await asyncio.wait({task})


def test_ctrl_c_has_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch):
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "app", interrupted)

    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == ExitStatus.INTERRUPTED


async def test_a_look_that_fails_is_a_finding_and_the_others_follow(place: Place, monkeypatch: pytest.MonkeyPatch):
    async def fine(_: Place) -> Finding:
        return Finding(subject="fine", found="fine")

    monkeypatch.setattr(examination, "_java", lambda: Finding(subject="java", found="there"))
    monkeypatch.setattr(examination, "find_place", lambda _: place)
    monkeypatch.setattr(examination, "_processes", fine)
    monkeypatch.setattr(examination, "_topics", away)

    found = {finding.subject: finding.failed for finding in await examine(place.directory.root)}

    assert found == {
        "java": False,
        "disk": False,
        "fine": False,
        "database": True,
        "schema": True,
        "archives": True,
        "secrets": True,  # there are none
        "topics": True,
        "exchange": True,
        "channels": True,
    }


def a_halt() -> ControlCommanded:
    return issue_command(
        "HALT",
        account="main",
        reason="a test",
        issuer="me",
        key=KEY,
        command_id=uuid.UUID(int=1),
        now=datetime(2026, 1, 5, tzinfo=UTC),
        liquidate=True,
    )


async def test_nobody_can_say_what_is_held_while_the_database_is_away(place: Place):
    told: list[str] = []

    await HoldingsWatch(place, a_halt(), progress=told.append).look()

    assert told == []


def test_answers_that_do_not_come_are_waited_for_until_their_deadline(place: Place):
    async def waited() -> tuple[int, float]:
        channel = ControlChannel(place, clock=VirtualClock())
        answers = await channel.answers(a_halt(), expected=frozenset({"risk_manager"}), deadline_s=5)
        return len(answers), asyncio.get_running_loop().time()

    assert run_in_virtual_time(waited()) == (0, 5)


async def test_a_halt_that_no_path_takes_says_why_for_each(place: Place, monkeypatch: pytest.MonkeyPatch):
    class NoChannel:
        """Carries nothing."""

        def __init__(self, *_: object, **__: object) -> None:
            pass

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def send(self, _: object) -> tuple[list[str], dict[str, str]]:
            return [], {"kafka": "away"}

    monkeypatch.setattr(operating, "signing_key", lambda *_: (KEY, "me"))
    monkeypatch.setattr(control_channel, "ControlChannel", NoChannel)
    place.halt_dir.write_text("a file where the directory should be")

    with pytest.raises(RetryableError, match=r"file: .*Not a directory.*; kafka: away"):
        await operate(place, "HALT", account="main", reason="a test")


async def test_more_changes_than_a_command_holds_are_wrong_usage(monkeypatch: pytest.MonkeyPatch):
    async def signing(_: Place, command: Any, *, changes: dict[str, str], **more: Any) -> None:
        now, command_id = datetime(2026, 1, 5, tzinfo=UTC), uuid.UUID(int=1)
        issue_command(command, issuer="me", key=KEY, command_id=command_id, now=now, changes=changes, **more)

    exchange = SimpleNamespace(accounts=("main",))
    somewhere: Any = SimpleNamespace(configuration=lambda: SimpleNamespace(exchange=exchange))
    monkeypatch.setattr(operating, "operate", signing)

    with pytest.raises(CommandError, match="at most 50 changes") as refused:
        await configuration._configured(somewhere, {f"key.{number}": "1" for number in range(51)}, "a test")
    assert refused.value.status is ExitStatus.USAGE


async def test_a_status_without_redis_is_told_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    @asynccontextmanager
    async def database() -> AsyncIterator[FakeDatabase]:
        yield FakeDatabase()

    async def read_status(*_: object, **__: object) -> dict[str, Any]:
        return {"trading_state": "ACTIVE", "feeds": [{"symbol": "BTC/USDT", "age_ms": 1}]}

    async def no_rows(_: Any) -> tuple[()]:
        return ()

    monkeypatch.setattr(status_module, "read_status", read_status)
    stack: Any = SimpleNamespace(database=database, endpoints=NOWHERE, process_rows=no_rows)

    async with status_module.status_reader(stack, "main") as read:
        told = await read()

    assert told["trading_state"] == "ACTIVE"
    assert "warning: " in capsys.readouterr().err


def test_watching_goes_on_while_the_database_is_away(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    shown: list[dict[str, Any]] = []
    answers: list[Any] = [RetryableError("away"), {"equity": 1}]

    @asynccontextmanager
    async def reader(*_: object) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
        async def read() -> dict[str, Any]:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]

        yield read

    monkeypatch.setattr(status_module, "status_reader", reader)

    run_in_virtual_time(seconds_of(watching._follow(place, "main", shown.append), 2.5))

    assert shown == [{"equity": 1}, {"equity": 1}]
    assert "warning: away" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("view", "said"),
    [(PlainView, "status: the database is away"), (LiveView, "The database does not answer")],
)
def test_both_views_go_on_while_the_database_is_away(
    view: type[PlainView],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    directory = DataDirectory(tmp_path)
    directory.create()
    stack: Any = SimpleNamespace(directory=directory, snapshot=tuple)
    exchange = SimpleNamespace(accounts=("main",))
    composition: Any = SimpleNamespace(endpoints=lambda: NOWHERE, configuration=SimpleNamespace(exchange=exchange))
    module = sys.modules[view.__module__]
    monkeypatch.setattr(module, "Database", FakeDatabase)
    monkeypatch.setattr(module, "read_status", away)

    run_in_virtual_time(seconds_of(view().follow(stack, composition), 2.5))

    assert said in capsys.readouterr().err
