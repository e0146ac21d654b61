"""The paper exchange as a process or a thread, and unmodified ccxt pointed at it by URLs only."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ccxt.pro

from libs.common.clock import SystemClock
from services.paper_exchange.__main__ import serve
from services.paper_exchange.settings import PaperExchangeSettings
from tests.support.unmeasured import unmeasured_environment

DEADLINE_S = 60.0


class RunningExchange:
    """What a client needs to know of an exchange that runs."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.endpoints: dict[str, Any] = {}
        self.keys: dict[str, Any] = {}

    def await_ready(self, is_alive: Callable[[], bool]) -> None:
        """Wait until the exchange says where it listens."""
        told = self.data_dir / "exchange.json"
        deadline = time.monotonic() + DEADLINE_S
        while not told.exists():
            assert is_alive(), "the exchange ended before it was ready"
            assert time.monotonic() < deadline, "the exchange did not become ready"
            time.sleep(0.02)
        self.endpoints = json.loads(told.read_text())
        self.keys = json.loads((self.data_dir / "keys.json").read_text())

    @property
    def rest(self) -> str:
        """The base address of the REST API."""
        return str(self.endpoints["exchange_rest"])

    def client(self, key: str = "visitor", *, only_spot: bool = True, **options: Any) -> ccxt.pro.binance:
        """Return an unmodified ccxt.pro client; nothing but URLs and documented options are set."""
        rest, stream = self.endpoints["exchange_rest"], self.endpoints["exchange_ws"]
        paths = {"public": "/api/v3", "private": "/api/v3", "v1": "/api/v1", "sapi": "/sapi/v1", "sapiV2": "/sapi/v2"}
        paths |= {"sapiV3": "/sapi/v3", "sapiV4": "/sapi/v4", "fapiPublic": "/fapi/v1", "dapiPublic": "/dapi/v1"}
        urls: dict[str, Any] = {name: rest + path for name, path in paths.items()}
        urls["ws"] = {"spot": f"{stream}/stream/ws", "ws-api": {"spot": f"{stream}/ws-api/v3"}}
        spot = {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False}
        credentials = self.keys[key]
        return ccxt.pro.binance(
            {
                "apiKey": credentials["api_key"],
                "secret": credentials["api_secret"],
                "enableRateLimit": False,
                "urls": {"api": urls},
                "options": {"defaultType": "spot", **(spot if only_spot else {}), **options},
                "exceptions": {"exact": ccxt.binance().exceptions["spot"]["exact"]},
            }
        )


class PaperExchangeThread(RunningExchange):
    """An exchange in a thread of this process."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Start and wait until it is ready."""
        self._thread.start()
        self.await_ready(self._thread.is_alive)

    def stop(self) -> None:
        """End it orderly."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(DEADLINE_S)

    def _run(self) -> None:
        settings = PaperExchangeSettings(data_dir=self.data_dir)
        self._loop.run_until_complete(serve(settings, SystemClock(), self._ended))
        self._loop.close()


class PaperExchangeProcess(RunningExchange):
    """An exchange as a process of its own, which can be killed; measured where no thread or test runs its lines."""

    def __init__(self, data_dir: Path, *, measured: bool = False, **variables: str) -> None:
        super().__init__(data_dir)
        self._measured = measured
        self._variables = variables
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start and wait until it is ready."""
        (self.data_dir / "exchange.json").unlink(missing_ok=True)
        self._process = process = self.launch()
        self.await_ready(lambda: process.poll() is None)

    def launch(self) -> subprocess.Popen[str]:
        """Start a process and do not wait."""
        variables = {f"PAPER_EXCHANGE_{name.upper()}": value for name, value in self._variables.items()}
        inherited = os.environ if self._measured else unmeasured_environment()
        return subprocess.Popen(
            [sys.executable, "-m", "services.paper_exchange"],
            env={**inherited, "PAPER_EXCHANGE_DATA_DIR": str(self.data_dir), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=DEADLINE_S)
        return self._process.returncode


@contextmanager
def running_exchange(data_dir: Path, *, measured: bool = False, **variables: str) -> Iterator[PaperExchangeProcess]:
    """Run an exchange for the length of a block."""
    exchange = PaperExchangeProcess(data_dir, measured=measured, **variables)
    exchange.start()
    try:
        yield exchange
    finally:
        exchange.kill()
