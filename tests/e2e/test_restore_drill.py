"""The drill "Restore" of the runbook, without Docker: a database put back to an earlier moment loses nothing."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from libs.embedded.directory import DataDirectory
from libs.embedded.stores.postgres import PostgresStore
from tests.support.backup_script import BackupScript
from tests.support.stack import StackUnderTest, until

FILLED_S_MAX = 120.0
SETTLED_S_MAX = 90.0


def script_for(stack: StackUnderTest) -> BackupScript:
    """Return the backup script for the Postgres of a running stack."""
    stack.data_dir.chmod(0o777)  # whoever Postgres runs as puts the restored database here
    directory = DataDirectory(stack.data_dir)
    port = urlsplit(stack.endpoints()["postgres"]).port
    assert port is not None
    store = PostgresStore(directory, port=port, password="", database="trader")
    place = stack.data_dir.with_name("backup")
    place.mkdir()
    place.chmod(0o755)
    return BackupScript(place, store, port, password=(directory.secrets / "postgres-backup").read_text().strip())


def fills_of(stack: StackUnderTest) -> set[tuple[object, ...]]:
    rows = stack.query("SELECT account, symbol, trade_id, side, quantity, price, commission FROM fills")
    return {tuple(row.values()) for row in rows}


def test_a_database_put_back_to_an_earlier_moment_halts_and_loses_nothing(new_stack: Callable[[], StackUnderTest]):
    stack = new_stack()
    stack.start()
    script = script_for(stack)
    with asyncio.Runner() as runner:
        receiving = script.receiving()
        runner.run(receiving.__aenter__())
        until(lambda: fills_of(stack), seconds=FILLED_S_MAX, what="a fill")
        (moment,) = stack.query("SELECT clock_timestamp() AS now")
        before = fills_of(stack)
        until(lambda: len(fills_of(stack)) > len(before) + 1, seconds=FILLED_S_MAX, what="fills after the moment")
        told = fills_of(stack)
        runner.run(receiving.__aexit__(None, None, None))
        stack.stop()
        runner.run(script.run("restore", "--at", f"{moment['now']:%Y-%m-%d %H:%M:%S.%f}"))

    stack.start()

    (difference,) = until(
        lambda: stack.ask("reconcile", "show")["differences"], seconds=SETTLED_S_MAX, what="the account's difference"
    )
    assert difference["kind"] == "RESTORED"
    until(lambda: stack.ask("status")["trading_state"] == "HALTED", seconds=SETTLED_S_MAX, what="HALTED")
    until(lambda: told <= fills_of(stack), seconds=SETTLED_S_MAX, what="every fill that was told before")
    assert stack.ask("invariants")["violations"] == []
    assert stack.ask("audit", "verify")["verified"]
    stack.trader("reconcile", "accept", str(difference["id"]), "--reason", "compared with the exchange")
    stack.trader("resume", "--reason", "compared with the exchange")
    stack.trader("start")
    until(lambda: len(fills_of(stack)) > len(told), seconds=FILLED_S_MAX, what="another fill")
