"""Unmodified programs go through their ordinary course on `trader exchange`, with only the addresses overridden.

Orders, fills and balances are compared with the exchange's journal by the fixture; what is left to each test is what
the program itself saw.
"""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.programs.environments import PROGRAMS, environment_of

Drive = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_has_an_environment_without_this_project(program: str):
    installed = subprocess.run(
        [environment_of(program) / "bin" / "python", "-c", "import libs, services, cli"],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "ModuleNotFoundError" in installed.stderr


def test_nothing_but_loopback_can_be_reached_from_where_the_programs_run(network: tuple[str, ...]):
    if not network:
        pytest.skip("no network namespace can be made here: it takes root, or unprivileged user namespaces")
    # 192.0.2.1 is nobody's (RFC 5737): with any route at all the attempt would time out.
    attempt = "import socket; socket.create_connection(('192.0.2.1', 443), timeout=5)"

    done = subprocess.run([*network, sys.executable, "-c", attempt], capture_output=True, text=True, check=False)

    assert "Network is unreachable" in done.stderr


def test_ccxt(drive: Drive):
    did = drive("drive_ccxt", program="ccxt")

    bought, resting, _stop, _target, sold = did["placed"]
    assert did["markets"] == ["BTC/USDT", "ETH/USDT"]
    assert did["seen"] == [50, 5, "open", [resting]]
    assert {bought, sold} <= set(did["traded"])
    assert did["refusals"] == ["InsufficientFunds", "OrderNotFound"]


def test_ccxt_asynchronous(drive: Drive):
    did = drive("drive_ccxt_async", program="ccxt")

    assert did["seen"] == [20, 2, True]
    assert set(did["filled"]) <= set(did["traded"])


def test_ccxt_pro(drive: Drive):
    did = drive("drive_ccxt_pro", program="ccxt")

    bought, cancelled, _sold = did["placed"]
    assert did["seen"] == [True, True, True, True]
    assert did["told"] == [bought, bought, cancelled, True]


def test_python_binance(drive: Drive):
    did = drive("drive_python_binance", program="python-binance")

    _bought, resting, _sold, streamed = did["placed"]
    assert did["seen"] == [["BTCUSDT", "ETHUSDT"], True, [resting], "FILLED"]
    assert did["streams"] == ["BTCUSDT", "btcusdt@depth@100ms", "ethusdt@miniTicker"]
    assert did["told"] == [["NEW", streamed], ["TRADE", streamed]]


def test_binance_connector(drive: Drive):
    did = drive("drive_binance_connector", program="binance-connector")

    _bought, resting, _above, _below, _sold = did["placed"]
    assert did["seen"] == [["BTCUSDT", "ETHUSDT"], 10, 24, [resting]]
    assert did["streams"] == ["ETHUSDT", "1m", 200]
    assert set(did["filled"]) <= set(did["traded"])


def test_binance_sdk_spot(drive: Drive):
    did = drive("drive_binance_sdk_spot", program="binance-sdk-spot")

    _bought, resting, _sold, streamed = did["placed"]
    assert did["seen"] == [["BTCUSDT", "ETHUSDT"], 10, [resting]]
    assert did["streams"] == ["BTCUSDT"]
    assert did["told"] == [["NEW", streamed], ["TRADE", streamed]]


def test_freqtrade_starts_buys_protects_sells_and_cancels(drive: Drive):
    did = drive("drive_freqtrade", program="freqtrade")

    assert did["seen"] == ["running", False]
