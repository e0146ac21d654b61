import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.common.clock import SystemClock
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import Credentials
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway

SYMBOLS = ("BTC/USDT", "ETH/USDT")


@dataclass(frozen=True)
class PaperExchange:
    address: ExchangeAddress
    credentials: Credentials


@pytest.fixture(scope="session")
def paper_exchange() -> Iterator[PaperExchange]:
    """The paper exchange as its own process, on a directory and ports of its own."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "PAPER_EXCHANGE_DATA_DIR": directory, "PAPER_EXCHANGE_MARKET": "recorded"}
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
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
async def gateway(paper_exchange: PaperExchange) -> AsyncIterator[CcxtOrderGateway]:
    gateway = CcxtOrderGateway(
        credentials=paper_exchange.credentials, address=paper_exchange.address, symbols=SYMBOLS, clock=SystemClock()
    )
    await gateway.measure_clock()
    yield gateway
    await gateway.close()
    await asyncio.sleep(0)  # lets aiohttp's transports finish closing
