"""The adapter over ccxt against the paper exchange: what is sent, what comes back, what it proves."""

import asyncio
import uuid
from dataclasses import replace
from decimal import Decimal

import pytest

from libs.common.clock import SystemClock, epoch_ms
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.orders.port import NewOco, NewOrder, Signing
from libs.exchange.outcomes import CancelVerdict, Finding, Verdict
from libs.exchange.refusals import Reason
from libs.exchange.server_clock import ServerClock
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from tests.contract.exchange_orders.conftest import SYMBOLS
from tests.support.paper_exchange import PaperExchange

SYMBOL = "BTC/USDT"


def signing(gateway: CcxtOrderGateway, *, age_ms: int = 0) -> Signing:
    exchange_ms = epoch_ms(SystemClock().now()) + (gateway.clock_offset_ms or 0)
    return Signing(at_ms=exchange_ms - age_ms, recv_window_ms=1_000)


def new_id(letter: str = "E") -> str:
    return f"ct{letter}-test00-{uuid.uuid4().hex[:24]}"


def a_market_buy(gateway: CcxtOrderGateway, quantity: str = "0.001") -> NewOrder:
    return NewOrder(
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=Decimal(quantity),
        client_order_id=new_id(),
        signing=signing(gateway),
    )


async def last_price(gateway: CcxtOrderGateway) -> Decimal:
    placement = await gateway.place(a_market_buy(gateway), purpose=Purpose.ENTRY)
    return placement.reports[0].trades[-1].price


async def test_a_filled_order_comes_back_with_its_trades(gateway: CcxtOrderGateway):
    order = a_market_buy(gateway, "0.002")

    placement = await gateway.place(order, purpose=Purpose.ENTRY)

    (report,) = placement.reports
    assert placement.outcome.verdict is Verdict.ACCEPTED
    assert report.client_order_id == order.client_order_id
    assert (report.symbol, report.status, report.filled_quantity) == (SYMBOL, OrderStatus.FILLED, Decimal("0.002"))
    assert sum(trade.quantity for trade in report.trades) == Decimal("0.002")
    assert report.filled_amount == sum(trade.quantity * trade.price for trade in report.trades)


async def test_trades_over_rest_equal_those_of_the_reply(gateway: CcxtOrderGateway):
    placement = await gateway.place(a_market_buy(gateway), purpose=Purpose.ENTRY)
    report = placement.reports[0]

    trades = await gateway.trades_of(SYMBOL, report.exchange_order_id)
    page = await gateway.trades(SYMBOL, from_id=report.trades[0].trade_id)

    expected = [(trade.trade_id, trade.quantity, trade.price, trade.commission) for trade in report.trades]
    assert [(trade.trade_id, trade.quantity, trade.price, trade.commission) for trade in trades] == expected
    assert [trade.trade_id for trade in page][: len(expected)] == [trade_id for trade_id, *_ in expected]


async def test_a_query_finds_an_order_by_either_id_and_not_an_unknown_one(gateway: CcxtOrderGateway):
    order = a_market_buy(gateway)
    placement = await gateway.place(order, purpose=Purpose.ENTRY)

    by_client_id = await gateway.order(SYMBOL, order.client_order_id)
    by_exchange_id = await gateway.order_by_exchange_id(SYMBOL, placement.reports[0].exchange_order_id)
    missing = await gateway.order(SYMBOL, new_id())

    assert by_client_id.finding is by_exchange_id.finding is Finding.FOUND
    assert by_client_id.report == by_exchange_id.report
    assert missing.finding is Finding.NOT_FOUND


async def test_a_request_older_than_its_window_is_refused(gateway: CcxtOrderGateway):
    order = replace(a_market_buy(gateway), signing=signing(gateway, age_ms=5_000))

    placement = await gateway.place(order, purpose=Purpose.ENTRY)

    assert placement.outcome.verdict is Verdict.NOT_ACCEPTED
    assert placement.outcome.reason is Reason.CLOCK_SKEW
    assert (await gateway.order(SYMBOL, order.client_order_id)).finding is Finding.NOT_FOUND


@pytest.mark.parametrize(("quantity", "reason"), [("0.00001", Reason.FILTER_SIZE), ("50", Reason.INSUFFICIENT_BALANCE)])
async def test_a_refusal_says_why(gateway: CcxtOrderGateway, quantity: str, reason: Reason):
    placement = await gateway.place(a_market_buy(gateway, quantity), purpose=Purpose.ENTRY)

    assert (placement.outcome.verdict, placement.outcome.reason) == (Verdict.NOT_ACCEPTED, reason)


async def test_a_list_is_placed_shown_open_and_cancelled_as_a_whole(gateway: CcxtOrderGateway):
    price = await last_price(gateway)
    oco = NewOco(
        symbol=SYMBOL,
        quantity=Decimal("0.001"),
        list_client_order_id=new_id("O"),
        above_client_order_id=new_id("P"),
        above_price=(price * Decimal("1.05")).quantize(Decimal("0.01")),
        below_client_order_id=new_id("P"),
        below_stop_price=(price * Decimal("0.95")).quantize(Decimal("0.01")),
        signing=signing(gateway),
    )

    placement = await gateway.place_oco(oco)
    open_ids = {report.client_order_id for report in await gateway.open_orders(SYMBOL)}
    cancellation = await gateway.cancel_list(SYMBOL, oco.list_client_order_id)
    again = await gateway.cancel_list(SYMBOL, oco.list_client_order_id)

    legs = {oco.above_client_order_id, oco.below_client_order_id}
    assert placement.outcome.verdict is Verdict.ACCEPTED
    assert {report.client_order_id for report in placement.reports} == legs <= open_ids
    assert {report.order_list_id for report in placement.reports} != {None}
    assert cancellation.verdict is CancelVerdict.CANCELED
    assert {report.client_order_id for report in cancellation.reports} == legs
    assert {report.status for report in cancellation.reports} == {OrderStatus.CANCELED}
    assert again.verdict is CancelVerdict.GONE


async def test_a_stop_beyond_the_price_is_refused_as_crossed(gateway: CcxtOrderGateway):
    price = await last_price(gateway)
    oco = NewOco(
        symbol=SYMBOL,
        quantity=Decimal("0.001"),
        list_client_order_id=new_id("O"),
        above_client_order_id=new_id("P"),
        above_price=(price * Decimal("1.10")).quantize(Decimal("0.01")),
        below_client_order_id=new_id("P"),
        below_stop_price=(price * Decimal("1.05")).quantize(Decimal("0.01")),
        signing=signing(gateway),
    )

    placement = await gateway.place_oco(oco)

    assert placement.outcome.verdict is Verdict.NOT_ACCEPTED
    assert placement.outcome.reason is Reason.PRICE_ALREADY_CROSSED


async def test_an_order_is_cancelled_by_its_client_id(gateway: CcxtOrderGateway):
    price = await last_price(gateway)
    order = replace(
        a_market_buy(gateway),
        order_type=OrderType.LIMIT,
        time_in_force="GTC",
        price=(price * Decimal("0.9")).quantize(Decimal("0.01")),
    )
    await gateway.place(order, purpose=Purpose.ENTRY)

    cancellation = await gateway.cancel(SYMBOL, order.client_order_id)

    (report,) = cancellation.reports
    assert cancellation.verdict is CancelVerdict.CANCELED
    assert (report.client_order_id, report.status) == (order.client_order_id, OrderStatus.CANCELED)


async def test_balances_rules_and_clock_are_read(gateway: CcxtOrderGateway):
    balances = await gateway.balances()
    listings = await gateway.listings(SYMBOLS)

    assert balances["USDT"].total > 0
    assert set(listings) == set(SYMBOLS)
    assert OrderType.STOP_LOSS in listings[SYMBOL].order_types
    assert listings[SYMBOL].instrument.oco_allowed
    assert abs(await gateway.measure_clock()) < 1_000


async def test_gateways_of_one_address_share_its_budget_and_its_clock(paper_exchange: PaperExchange):
    clock = SystemClock()
    server_clock = ServerClock(clock)
    budget = AddressBudget(clock, server_clock)
    first, second = (
        CcxtOrderGateway(
            credentials=paper_exchange.credentials,
            address=paper_exchange.address,
            symbols=SYMBOLS,
            clock=clock,
            server_clock=server_clock,
            budget=budget,
        )
        for _ in range(2)
    )
    try:
        await first.measure_clock()
        await first.balances()

        assert budget.used_weight >= 20
        assert abs(second.clock_offset_ms or 1_000) < 1_000 or second.clock_offset_ms == 0
        assert second.wait_s(Purpose.REDUCTION) == 0
    finally:
        await first.close()
        await second.close()
        await asyncio.sleep(0)  # lets aiohttp's transports finish closing


async def test_without_a_connection_nothing_was_sent(paper_exchange: PaperExchange):
    nobody = ExchangeAddress.of("http://127.0.0.1:9", "ws://127.0.0.1:9")
    gateway = CcxtOrderGateway(
        credentials=paper_exchange.credentials, address=nobody, symbols=SYMBOLS, clock=SystemClock()
    )

    placement = await gateway.place(a_market_buy(gateway), purpose=Purpose.ENTRY)
    lookup = await gateway.order(SYMBOL, new_id())
    await gateway.close()

    assert (placement.outcome.verdict, placement.outcome.reason) == (Verdict.NOT_ACCEPTED, Reason.NOT_SENT)
    assert lookup.finding is Finding.UNAVAILABLE
