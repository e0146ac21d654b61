"""Our client of the user stream against the paper exchange."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from random import Random

import pytest

from libs.common.clock import SystemClock
from libs.exchange.instruments import exchange_symbol
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.orders.port import OrderReport
from libs.exchange.user_stream.client import UserStream
from libs.exchange.user_stream.events import BalancesChanged, StreamConnected
from libs.trading.orders import OrderStatus
from tests.contract.exchange_orders.conftest import SYMBOLS
from tests.contract.exchange_orders.test_order_gateway import a_market_buy
from tests.support.paper_exchange import PaperExchange


@pytest.fixture
async def stream(paper_exchange: PaperExchange) -> AsyncIterator[UserStream]:
    clock = SystemClock()
    stream = UserStream(
        url=paper_exchange.address.websocket_api,
        credentials=paper_exchange.credentials,
        symbols={exchange_symbol(symbol): symbol for symbol in SYMBOLS},
        clock=clock,
        clock_offset_ms=lambda: 0,
        randomness=Random(1),
        budget=AddressBudget(clock),
    )
    running = asyncio.create_task(stream.run())
    yield stream
    running.cancel()
    await asyncio.wait({running})


async def test_it_says_from_when_on_it_delivers(stream: UserStream):
    async with asyncio.timeout(5):
        first = await stream.next_event()

    assert isinstance(first, StreamConnected)
    assert stream.is_connected


async def test_every_fill_of_an_order_is_delivered_as_it_was_answered(stream: UserStream, gateway: CcxtOrderGateway):
    async with asyncio.timeout(5):
        await stream.next_event()
    order = a_market_buy(gateway, "0.01")

    placement = await gateway.place(order, purpose=Purpose.ENTRY)
    reports: list[OrderReport] = []
    balances: list[BalancesChanged] = []
    async with asyncio.timeout(5):
        while not reports or reports[-1].status is not OrderStatus.FILLED or not balances:
            event = await stream.next_event()
            if isinstance(event, OrderReport):
                reports.append(event)
            elif isinstance(event, BalancesChanged):
                balances.append(event)

    answered = placement.reports[0]
    streamed = [trade for report in reports for trade in report.trades]
    assert {report.client_order_id for report in reports} == {order.client_order_id}
    assert [(trade.trade_id, trade.price, trade.quantity, trade.commission) for trade in streamed] == [
        (trade.trade_id, trade.price, trade.quantity, trade.commission) for trade in answered.trades
    ]
    assert reports[-1].filled_quantity == Decimal("0.01")
    assert reports[-1].filled_amount == answered.filled_amount
