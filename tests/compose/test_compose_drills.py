"""The drills of the runbook's operations, on a deployment: each command as it is documented, in order."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compose.conftest import ROOT, UP_S_MAX, ComposeProject
from tests.support.documents import RUNBOOK, section, shell_lines

FILLED_S_MAX = 600.0
LOOK_S = 3.0
DOCUMENTED_MOMENT = "2026-11-23 09:30"
FILLS = "SELECT account, symbol, trade_id, side, quantity, price, commission FROM reading.fills ORDER BY 1, 2, 3"


def when(probe: Any, *, what: str, within_s: float = FILLED_S_MAX) -> Any:
    """Return the first truthy answer."""
    ends_at_s = time.monotonic() + within_s
    while not (answer := probe()):
        if time.monotonic() > ends_at_s:
            pytest.fail(f"expected {what} within {within_s:g} s, found {answer!r}")
        time.sleep(LOOK_S)
    return answer


def fills_of(deployment: ComposeProject) -> set[str]:
    return set(deployment.sql(FILLS).splitlines())


def status_of_backups(deployment: ComposeProject) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        deployment.compose("exec", "--no-TTY", "backup", "cat", "/var/lib/postgresql/data/status")
    )
    return content


def typed(deployment: ComposeProject, arguments: list[str]) -> None:
    """Run a documented command; nobody sits at a terminal here."""
    without_terminal = ["--no-TTY"] if arguments[0] in {"exec", "run"} else []
    deployment.compose(arguments[0], *without_terminal, *arguments[1:], deadline_s=UP_S_MAX)


def lines(title: str) -> Iterator[list[str]]:
    """Yield the arguments of each documented `docker compose` command of a section."""
    for line in shell_lines(section(RUNBOOK.read_text(encoding="utf-8"), title)):
        program, subcommand, *arguments = shlex.split(line)
        assert (program, subcommand) == ("docker", "compose"), line
        yield arguments


def follow(deployment: ComposeProject, title: str, *, moment: str = "") -> None:
    """Run the commands of a section."""
    for arguments in lines(title):
        typed(deployment, [moment if argument == DOCUMENTED_MOMENT else argument for argument in arguments])


def settle(deployment: ComposeProject) -> None:
    """Wait until what is there is in the books as at the exchange."""
    when(lambda: deployment.trader_json("invariants")["violations"] == [], what="books that agree")


@pytest.fixture(scope="module")
def running(deployment: ComposeProject) -> ComposeProject:
    """Start everything, and wait until it trades and is backed up."""
    deployment.up()
    when(lambda: status_of_backups(deployment)["verified"], what="a verified copy")
    when(lambda: fills_of(deployment), what="a fill")
    return deployment


def test_backups_are_made_listed_and_verified(running: ComposeProject):
    before = status_of_backups(running)["newest"]

    follow(running, "Backups")

    when(lambda: status_of_backups(running)["newest"] > before, what="a newer copy")


def test_a_database_put_back_to_an_earlier_moment_halts_and_loses_nothing(running: ComposeProject):
    moment = running.sql("SELECT now() AT TIME ZONE 'UTC'").strip()
    before = len(fills_of(running))
    when(lambda: len(fills_of(running)) > before, what="fills after the moment")
    told = fills_of(running)
    assert "expected the database to be stopped" in refused(running)

    follow(running, "Restoring the database", moment=moment)

    (difference,) = when(lambda: running.trader_json("reconcile", "show")["differences"], what="a difference")
    assert difference["kind"] == "RESTORED"
    assert running.trader_json("status")["trading_state"] == "HALTED"
    when(lambda: told <= fills_of(running), what="every fill that was told before")
    settle(running)
    assert running.trader_json("audit", "verify")["verified"]
    running.trader("reconcile", "accept", str(difference["id"]), "--reason", "compared with the exchange")
    running.trader("resume", "--reason", "compared with the exchange")
    running.trader("start", "--reason", "compared with the exchange")
    when(lambda: len(fills_of(running)) > len(told), what="another fill")


def test_an_upgrade_loses_nothing_and_goes_on(running: ComposeProject):
    told = fills_of(running)
    schema = running.sql("SELECT version_num FROM alembic_version")

    follow(running, "Upgrading")

    assert told <= fills_of(running)
    assert running.trader_json("status")["trading_state"] == "ACTIVE"
    assert running.sql("SELECT version_num FROM alembic_version") == schema


def test_a_newer_database_is_refused_until_it_says_that_it_can_be_used(running: ComposeProject):
    (newest,) = running.sql("SELECT version_num FROM alembic_version").split()
    running.sql("UPDATE alembic_version SET version_num = '9998'")
    refusal = running._compose("run", "--rm", "--no-TTY", "database", deadline_s=UP_S_MAX, check=False)
    running.sql(f"COMMENT ON TABLE alembic_version IS 'version 9998, for programs of {newest} and newer'")
    done = running._compose("run", "--rm", "--no-TTY", "database", deadline_s=UP_S_MAX, check=False)
    running.sql(f"UPDATE alembic_version SET version_num = '{newest}'")
    running.compose("run", "--rm", "--no-TTY", "database")

    assert refusal.returncode == 4
    assert "start the newer program again" in refusal.stderr
    assert done.returncode == 0


def test_every_password_is_rotated_while_the_books_stay(running: ComposeProject):
    told = fills_of(running)
    passwords = [
        path.name for path in running.secrets.iterdir() if path.name.startswith(("kafka-", "redis-", "postgres-"))
    ]
    names = [name for name in passwords if "." not in name]
    old = {name: (running.secrets / name).read_text() for name in names}
    rotate = (sys.executable, "-m", "cli", "secrets", "rotate", *names, "--directory", str(running.secrets))
    subprocess.run(rotate, cwd=ROOT, check=True)
    halting, *rest = lines("Rotating passwords")
    up, doctor, *telling = rest

    for arguments in (halting, *telling, up, doctor):
        typed(running, arguments)

    assert all((running.secrets / name).read_text() != password for name, password in old.items())
    running.trader("resume", "--reason", "rotated")
    running.trader("start", "--reason", "rotated")
    when(lambda: len(fills_of(running)) > len(told), what="another fill")
    settle(running)


def refused(deployment: ComposeProject) -> str:
    """Return what a restore says while the database runs."""
    done = deployment._compose("run", "--rm", "--no-TTY", "restore", deadline_s=FILLED_S_MAX, check=False)
    assert done.returncode == 1
    return done.stderr
