"""The paper exchange as a process of its own; import the fixture into a conftest to use it."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import Credentials
from tests.support.unmeasured import unmeasured_environment


@dataclass(frozen=True)
class PaperExchange:
    """Where it is, and the key of its account `main`."""

    address: ExchangeAddress
    credentials: Credentials
    rest_url: str
    ws_url: str


@pytest.fixture(scope="module")
def paper_exchange() -> Iterator[PaperExchange]:
    with tempfile.TemporaryDirectory() as directory:
        environment = unmeasured_environment(PAPER_EXCHANGE_DATA_DIR=directory, PAPER_EXCHANGE_MARKET="recorded")
        process = subprocess.Popen(
            [sys.executable, "-m", "services.paper_exchange"], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            assert "ready" in process.stdout.readline()
            facts = json.loads((Path(directory) / "exchange.json").read_text())
            account = facts["exchange_accounts"]["main"]
            yield PaperExchange(
                address=ExchangeAddress.of(facts["exchange_rest"], facts["exchange_ws"]),
                credentials=Credentials(account["api_key"], account["api_secret"]),
                rest_url=facts["exchange_rest"],
                ws_url=facts["exchange_ws"],
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)
            if process.stdout is not None:
                process.stdout.close()
