"""One recorded market for the tests of a file that do not stop the exchange, and ccxt clients that are closed again.

Not one for all: it would go on trading, measured, beside every test that comes later.
"""

from collections.abc import AsyncIterator, Iterator

import ccxt.pro
import pytest

from tests.contract.paper_exchange.paper_exchange_process import PaperExchangeThread, RunningExchange


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningExchange]:
    running = PaperExchangeThread(tmp_path_factory.mktemp("exchange"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def visitor(exchange: RunningExchange) -> AsyncIterator[ccxt.pro.binance]:
    client = exchange.client("visitor", watchTickers={"name": "ticker"})
    try:
        await client.load_markets()
        yield client
        for symbol in client.markets:
            if await client.fetch_open_orders(symbol):
                await client.cancel_all_orders(symbol)
    finally:
        await client.close()
