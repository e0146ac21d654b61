"""A deployment from nothing: it trades, obeys, goes on where it was, and keeps its secrets to itself."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from libs.common.contracts.topics import TopicName
from tests.compose.conftest import ComposeProject

TRADED_S_MAX = 600.0
STILL_S_MAX = 120.0
LOOK_S = 3.0
WHOLE_TOPICS = Path(__file__).with_name("whole_topics.py")
IMAGES = ("trading", "kafka", "proxy")
SECRET_BYTES_MIN = 20
BOOKS = {
    "balances": "SELECT account, asset, opening, balance FROM reading.balances ORDER BY 1, 2",
    "ledger": "SELECT account, asset, opening, amount FROM reading.executor_ledger ORDER BY 1, 2",
    "positions": "SELECT account, symbol, quantity, cost, realised_pnl, stop_loss FROM reading.positions ORDER BY 1, 2",
    "round trips": "SELECT * FROM reading.round_trips ORDER BY 1, 2, 3",
    "orders": "SELECT client_order_id, status, filled_quantity FROM reading.orders ORDER BY 1",
    "fills": "SELECT account, symbol, trade_id, quantity, price, commission FROM reading.fills ORDER BY 1, 2, 3",
    "baselines": "SELECT * FROM reading.day_baselines ORDER BY 1, 2",
    "trading state": "SELECT account, state, halt_epoch, halts FROM reading.trading_state ORDER BY 1",
}
"""What must be the same to the last digit after a restart; nothing of it moves while the account is HALTED."""


@pytest.fixture(scope="module")
def running(deployment: ComposeProject) -> ComposeProject:
    """Start everything from nothing."""
    deployment.up()
    return deployment


def status_when(deployment: ComposeProject, is_so: Any, *, within_s: float) -> dict[str, Any]:
    """Return the status as soon as it is as wanted."""
    ends_at_s = time.monotonic() + within_s
    while True:
        status = deployment.trader_json("status")
        if is_so(status):
            return status
        if time.monotonic() > ends_at_s:
            pytest.fail(f"not within {within_s:g} s: {status}")
        time.sleep(LOOK_S)


def books(deployment: ComposeProject) -> dict[str, str]:
    return {name: deployment.sql(query) for name, query in BOOKS.items()}


def books_at_rest(deployment: ComposeProject) -> dict[str, str]:
    """Return the books once two looks agree: what was on its way when the halt came has arrived."""
    ends_at_s = time.monotonic() + STILL_S_MAX
    before = books(deployment)
    while time.monotonic() < ends_at_s:
        time.sleep(LOOK_S)
        now = books(deployment)
        if now == before:
            return now
        before = now
    pytest.fail("the books never came to rest")


def halted(status: dict[str, Any]) -> bool:
    return bool(status["trading_state"] == "HALTED")


def test_it_trades_the_recorded_market(running: ComposeProject):
    status = status_when(running, lambda found: found["trades_today"] > 0, within_s=TRADED_S_MAX)

    assert status["mode"] == "paper"


def test_its_books_agree_with_the_exchange(running: ComposeProject):
    report = running.trader_json("invariants")

    assert report["violations"] == []


def test_a_halt_holds_and_everything_goes_on_where_it_was_after_a_restart(running: ComposeProject):
    running.trader("halt", "--reason", "a test")
    status_when(running, halted, within_s=STILL_S_MAX)
    before = books_at_rest(running)

    running.down()
    running.up()

    assert books_at_rest(running) == before
    assert halted(running.trader_json("status"))


def test_a_halt_outlives_the_loss_of_redis(running: ComposeProject):
    running.down()
    running.docker("volume", "rm", f"{running.name}_redis")
    running.up()

    assert halted(running.trader_json("status"))
    refused = running.trader("start", "--reason", "a test", check=False)
    assert refused.returncode != 0


def test_a_halt_can_be_given_while_kafka_is_down(running: ComposeProject):
    running.compose("stop", "kafka")
    done = running.trader("halt", "--symbol", "BTC/USDT", "--reason", "a test without Kafka", "--json", check=False)
    running.compose("start", "kafka")

    assert {"file", "redis"} <= set(json.loads(done.stdout)["paths"])


def test_no_secret_is_anywhere_but_in_its_file(running: ComposeProject, tmp_path: Path):
    ours = ("redis-users.acl", "audit-anchor-key.pub")  # hashes, and what is public
    contents = {path.name: path.read_bytes().strip() for path in running.secrets.iterdir() if path.name not in ours}
    secrets = {name: secret_in(content) for name, content in contents.items() if len(content) >= SECRET_BYTES_MIN}
    places: dict[str, bytes] = {}
    for container in running.compose("ps", "--all", "--quiet").split():
        places[f"log of {container}"] = running.docker("logs", container).encode()
        places[f"environment of {container}"] = running.docker("inspect", container).encode()
        places[f"processes of {container}"] = running.docker("top", container, "-eo", "pid,args", check=False).encode()
    places["tables"] = running.compose("exec", "-T", "postgres", "pg_dump", "--username=postgres", "trader").encode()
    places["topics"] = running.compose(
        *("run", "--rm", "--no-TTY", "--no-deps", "--volume", f"{WHOLE_TOPICS}:/whole_topics.py:ro"),
        *("--entrypoint", "python", "access", "/whole_topics.py", *(topic.value for topic in TopicName)),
    ).encode()
    image_file = tmp_path / "images.tar"
    running.docker("save", "--output", str(image_file), *(f"crypto-trader-pro/{name}:local" for name in IMAGES))
    places["images"] = image_file.read_bytes()

    found = [(name, where) for name, secret in secrets.items() for where, place in places.items() if secret in place]

    assert found == []
    assert secrets.keys() >= {"kafka-admin", "operator.pem", "redis-trader", "postgres-postgres"}
    assert b"COPY months.audit_recorder_audit_log" in places["tables"]
    assert places["topics"].count(b"\n") > 100


def secret_in(content: bytes) -> bytes:
    """Return what must be nowhere: a password, or of a key in PEM its base64 line."""
    return content.splitlines()[1] if content.startswith(b"-----BEGIN") else content
