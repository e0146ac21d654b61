"""The commands that need no running stack: they prepare the stores, and print what was logged."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pytest

from libs.common.storage import migrations
from libs.embedded.directory import DataDirectory
from tests.support.migrated import PASSWORD
from tests.support.stores import KafkaForTests

COMMAND_S_MAX = 60.0
NOWHERE = "127.0.0.1:1"


def trader(*arguments: str, environment: Mapping[str, str], status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def secrets(tmp_path: Path, database: str) -> Path:
    (tmp_path / "postgres-postgres").write_text(urlsplit(database).password or "")
    for role in migrations.LOGINS:
        (tmp_path / f"postgres-{role}").write_text(PASSWORD)
    return tmp_path


def test_the_database_is_upgraded_once_and_again_without_harm(database: str, secrets: Path):
    parts = urlsplit(database)
    environment = {
        "TRADER_POSTGRES_ADDRESS": f"{parts.hostname}:{parts.port}{parts.path}",
        "TRADER_SECRETS_DIR": str(secrets),
    }

    said = [trader("db", "upgrade", environment=environment) for _ in range(2)]

    newest = max(path.name[:4] for path in (migrations.MIGRATIONS / "versions").glob("*.py"))
    assert said == [f"The database is at version {newest}.\n"] * 2


def test_a_database_that_is_not_there_and_a_secret_that_is_missing_have_their_own_statuses(secrets: Path):
    environment = {"TRADER_POSTGRES_ADDRESS": f"{NOWHERE}/trader", "TRADER_SECRETS_DIR": str(secrets)}

    assert "Is Postgres running?" in trader("db", "upgrade", environment=environment, status=3)
    (secrets / "postgres-notifier").unlink()
    assert "postgres-notifier" in trader("db", "upgrade", environment=environment, status=4)


def test_topics_are_made_once(kafka: KafkaForTests, topic_prefix: str):
    environment = {"TRADER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "TRADER_TOPIC_PREFIX": topic_prefix}

    first, second = (trader("topics", "apply", environment=environment) for _ in range(2))

    assert "orders.approved" in first
    assert second == "Every topic was there already.\n"


def test_a_broker_that_is_not_there_has_its_own_status():
    said = trader("topics", "apply", environment={"TRADER_KAFKA_BOOTSTRAP_SERVERS": NOWHERE}, status=3)

    assert "Is Kafka running?" in said


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    for name in ("notifier", "watchdog"):
        directory.log_file(name).write_text(f"{name} 1\n{name} 2\n")
    return directory.root


@pytest.fixture
def following(logs: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "logs", "--follow", "--lines", "1", "--data-dir", str(logs)],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_last_lines_of_one_process_are_plain_and_of_all_are_labelled(logs: Path):
    one = trader("logs", "notifier", "--data-dir", str(logs), environment={})
    every = trader("logs", "--lines", "1", "--data-dir", str(logs), environment={})

    assert one == "notifier 1\nnotifier 2\n"
    assert every == "notifier: notifier 2\nwatchdog: watchdog 2\n"


def test_logs_are_followed_beyond_their_rotation_until_ctrl_c(following: "subprocess.Popen[str]", logs: Path):
    log, output = DataDirectory(logs).log_file("notifier"), _output(following)
    assert [output.readline(), output.readline()] == ["notifier: notifier 2\n", "watchdog: watchdog 2\n"]

    with log.open("a") as file:
        file.write("notifier 3\n")
    assert output.readline() == "notifier: notifier 3\n"
    log.write_text("anew\n")
    assert output.readline() == "notifier: anew\n"
    following.send_signal(signal.SIGINT)

    assert following.wait(timeout=20) == 130


def _output(process: "subprocess.Popen[str]") -> IO[str]:
    assert process.stdout is not None
    return process.stdout
