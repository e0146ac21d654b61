import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.common.clock import SystemClock
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from tests.support.paper_exchange import PaperExchange, paper_exchange

__all__ = ["paper_exchange"]

SYMBOLS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture
async def gateway(paper_exchange: PaperExchange) -> AsyncIterator[CcxtOrderGateway]:
    gateway = CcxtOrderGateway(
        credentials=paper_exchange.credentials, address=paper_exchange.address, symbols=SYMBOLS, clock=SystemClock()
    )
    try:
        await gateway.measure_clock()
        yield gateway
    finally:
        await gateway.close()
        await asyncio.sleep(0)  # lets aiohttp's transports finish closing
