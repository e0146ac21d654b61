"""The paper exchange as a process, and unmodified ccxt pointed at it by URLs only."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ccxt.pro

DEADLINE_S = 60.0


class PaperExchangeProcess:
    """One exchange on free ports with a data directory of its own."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        self.data_dir = data_dir
        self._variables = variables
        self._process: subprocess.Popen[str] | None = None
        self.endpoints: dict[str, Any] = {}
        self.keys: dict[str, Any] = {}

    def start(self) -> None:
        """Start and wait until it says where it listens."""
        told = self.data_dir / "exchange.json"
        told.unlink(missing_ok=True)
        self._process = self.launch()
        deadline = time.monotonic() + DEADLINE_S
        while not told.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the exchange did not start: {self._process.communicate()}")
            time.sleep(0.02)
        self.endpoints = json.loads(told.read_text())
        self.keys = json.loads((self.data_dir / "keys.json").read_text())

    def launch(self) -> subprocess.Popen[str]:
        """Start a process and do not wait."""
        variables = {f"PAPER_EXCHANGE_{name.upper()}": value for name, value in self._variables.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "services.paper_exchange"],
            env={**os.environ, "PAPER_EXCHANGE_DATA_DIR": str(self.data_dir), **variables},
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


@contextmanager
def running_exchange(data_dir: Path, **variables: str) -> Iterator[PaperExchangeProcess]:
    """Run an exchange for the length of a block."""
    exchange = PaperExchangeProcess(data_dir, **variables)
    exchange.start()
    try:
        yield exchange
    finally:
        exchange.kill()
