"""`trader exchange` as a person or a script meets it."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.paper_exchange.paper_exchange_process import running_exchange

STARTED_S_MAX = 60
STOPPED_S_MAX = 20


def command(data_dir: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "cli", "exchange", "--json", "--data-dir", str(data_dir), *options]


@contextmanager
def alone(data_dir: Path, *options: str) -> Iterator[dict[str, Any]]:
    """Run it until the end of the block, which is Ctrl-C."""
    process = subprocess.Popen(command(data_dir, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield json.loads(line)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOPPED_S_MAX) == 130
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def refused(data_dir: Path, *options: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        command(data_dir, *options),
        capture_output=True,
        text=True,
        timeout=STARTED_S_MAX,
        env={**os.environ, **environment},
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def get(rest: str, path: str) -> Any:
    with urllib.request.urlopen(f"{rest}/api/v3/{path}", timeout=10) as answer:
        return json.load(answer)


def test_the_live_market_is_followed_from_where_the_options_say(tmp_path: Path):
    (tmp_path / "upstream").mkdir()
    with running_exchange(tmp_path / "upstream") as upstream:
        options = ("--binance-rest", upstream.rest, "--binance-ws", upstream.endpoints["exchange_ws"])
        with alone(tmp_path, "--market", "binance", *options) as ready:
            theirs, ours = [
                float(get(rest, "ticker/price?symbol=BTCUSDT")["price"])
                for rest in (upstream.rest, ready["exchange_rest"])
            ]

    assert set(ready) == {"exchange_rest", "exchange_ws", "exchange_accounts"}
    assert set(ready["exchange_accounts"]) == {"main", "visitor"}
    assert ours == pytest.approx(theirs, rel=0.01)


def test_an_address_survives_a_restart_and_a_market_keeps_its_directory(tmp_path: Path):
    with alone(tmp_path) as first:
        pass
    with alone(tmp_path) as second:
        pass

    status, complaint = refused(tmp_path, "--market", "generated")

    assert first == second
    assert status == 4
    assert "expected a journal of the market 'generated seed 1 BTCUSDT,ETHUSDT'" in complaint
    assert "an empty directory" in complaint


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "ftp://somewhere"])
def test_a_live_market_that_cannot_be_reached_ends_with_status_3(tmp_path: Path, address: str):
    status, complaint = refused(tmp_path, "--market", "binance", "--binance-rest", address)

    assert status == 3
    assert f"expected Binance's market data at {address}" in complaint
    assert "--binance-rest" in complaint


def test_the_addresses_may_come_from_the_environment(tmp_path: Path):
    nowhere = "http://127.0.0.1:1"

    status, complaint = refused(tmp_path, "--market", "binance", PAPER_EXCHANGE_BINANCE_REST_URL=nowhere)

    assert (status, nowhere in complaint) == (3, True)


def test_a_port_that_is_in_use_is_named(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])

        status, complaint = refused(tmp_path, "--port", port)

    assert status == 1
    assert f"expected port {port} to be free" in complaint


def test_a_market_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path):
    status, complaint = refused(tmp_path, "--market", "kraken")

    assert status == 4
    assert "expected 'recorded', 'generated' or 'binance', found kraken" in complaint
