"""`trader alerts`, `trader alerts ack`, `trader notify test` and what `trader doctor` says of channels, on Postgres."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import examination, operating
from cli.__main__ import app
from cli.commands import alerts as alerts_command
from cli.commands import notify
from cli.errors import CommandError, ExitStatus
from cli.place import Place
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.storage.postgres import Database
from libs.embedded.directory import DataDirectory
from tests.support.migrated import MigratedDatabase
from tests.support.notifier_desk import Desk, FakeChannel, a_desk


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("notifier")
    yield database
    await database.close()


@pytest.fixture
def desk(database: Database) -> Desk:
    channels: Any = {"dashboard": FakeChannel(), "log": FakeChannel(), "email": FakeChannel()}
    return a_desk(database, channels=channels, language="en", notifications={"channels": ["email", "dashboard"]})


@pytest.fixture(autouse=True)
def place(migrated: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    directory = DataDirectory(tmp_path)
    directory.create()
    (directory.run / "configuration.json").write_text("{}")
    place = Place(directory, {"postgres": migrated.url_of("reader")})
    for module in (alerts_command, notify):
        monkeypatch.setattr(module, "find_place", lambda _: place)
    return place


async def said(*arguments: str) -> tuple[int, str]:
    """Run a command in a thread, because it has a loop of its own; return its exit status and what it printed."""
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
    status = result.exception.status if isinstance(result.exception, CommandError) else result.exit_code
    return int(status), result.output


async def test_emergencies_that_nobody_acknowledged_come_first_with_every_delivery(desk: Desk):
    emergency = await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.CRITICAL, account="main")
    desk.clock.advance(60)
    await desk.raise_alert(subject="later")
    await desk.deliver()

    status, printed = await said("alerts", "--json")
    _, text = await said("alerts", "--limit", "1")

    first, second = json.loads(printed)["alerts"]
    assert status == ExitStatus.DONE
    assert (first["event_id"], first["unacknowledged"]) == (str(emergency.event_id), True)
    assert first["deliveries"] == {"dashboard": "SENT", "email": "SENT", "log": "SENT"}
    assert not second["unacknowledged"]
    assert "dashboard SENT, email SENT, log SENT" in text
    assert f"Not acknowledged: {first['id']}" in text


@pytest.mark.parametrize(
    ("refusal", "missing", "status"),
    [(None, [], ExitStatus.DONE), ("EXPIRED", [], ExitStatus.FAILED), (None, ["notifier"], ExitStatus.TIMED_OUT)],
)
async def test_an_acknowledgement_is_sent_for_the_alert_that_is_meant(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, refusal: str | None, missing: list[str], status: int
):
    emergency = await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.CRITICAL)
    sent: list[dict[str, Any]] = []

    async def operate(_: Place, command: str, **what: Any) -> Any:
        sent.append({"command": command, **what})
        return SimpleNamespace(
            refusal=refusal,
            missing=missing,
            waited_s_max=5.0,
            note="acknowledged by operator",
            acknowledged_ms=7,
            command=SimpleNamespace(command_id=uuid.UUID(int=1)),
        )

    monkeypatch.setattr(operating, "operate", operate)

    found, printed = await said("alerts", "ack", str(emergency.event_id)[:8])
    as_json, _ = await said("alerts", "ack", str(emergency.event_id), "--json")

    assert found == as_json == status
    assert [(each["command"], each["account"], each["alert"]) for each in sent] == [
        ("ACKNOWLEDGE", "main", emergency.event_id)
    ] * 2
    assert ("acknowledged by operator" in printed) is (status == ExitStatus.DONE)


@pytest.mark.parametrize(
    ("typed", "status"), [("3f2", ExitStatus.USAGE), ("notahex0", ExitStatus.USAGE), ("ffff0000", ExitStatus.FAILED)]
)
async def test_an_id_that_names_no_alert_is_refused(typed: str, status: int):
    assert (await said("alerts", "ack", typed))[0] == status


@pytest.mark.parametrize(
    ("channels", "delivers", "outcome"),
    [
        ((), True, (ExitStatus.DONE, {"dashboard": "SENT", "email": "SENT"})),
        (("email",), True, (ExitStatus.DONE, {"email": "SENT"})),
        (("email", "sms"), True, (ExitStatus.FOUND, {"email": "SENT", "sms": "SUPPRESSED"})),
        (("email",), False, (ExitStatus.TIMED_OUT, {"email": "QUEUED"})),
    ],
)
async def test_a_test_message_says_what_became_of_it_at_each_channel(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, channels, delivers, outcome
):
    async def raised(_: Place, names: tuple[str, ...]) -> uuid.UUID:
        envelope = await on_this_loop(
            desk.raise_alert(severity=Severity.INFO, parameters={"trial": "yes"}, channels=names)
        )
        if delivers:
            await on_this_loop(desk.deliver())
        return uuid.UUID(str(envelope.event_id))

    on_this_loop = _on_loop_of_now()
    await desk.inventory.note()
    monkeypatch.setattr(notify, "_raise", raised)
    monkeypatch.setattr(notify, "DELIVERED_S_MAX", 0.0)

    found, printed = await said("notify", "test", *(f"--channel={name}" for name in channels), "--json")

    told = json.loads(printed.splitlines()[0])
    assert (found, {row["channel"]: row["state"] for row in told["channels"]}) == outcome


async def test_without_a_channel_there_is_nothing_to_test():
    assert (await said("notify", "test"))[0] == ExitStatus.FAILED


async def test_the_doctor_names_channels_that_cannot_deliver(desk: Desk, place: Place):
    desk.configure(channels=["email", "discord", "dashboard"])
    await desk.inventory.note()

    silent = await examination._channels(place)
    desk.configure(channels=["dashboard"])
    await desk.inventory.note()
    alone = await examination._channels(place)
    desk.configure(channels=["email"])
    await desk.inventory.note()
    well = await examination._channels(place)

    assert silent.found == "2 of 3 can deliver; discord: no address in the secret file notification-channels"
    assert silent.advice
    assert alone.advice.startswith("Nobody is told outside")
    assert (well.found, well.advice, well.failed) == ("1 of 1 can deliver", "", False)


def _on_loop_of_now() -> Any:
    """Return what runs a coroutine on the test's loop, where the database is, from the loop of a command."""
    loop = asyncio.get_running_loop()

    async def run(work: Any) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    return run
