"""What the order gateway makes of answers that never come, come cut off, or cannot be read: never a guess."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from libs.common.clock import SystemClock
from libs.common.errors import RetryableError
from libs.exchange.credentials import Credentials
from libs.exchange.limits import Purpose
from libs.exchange.orders import ccxt_gateway
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.orders.port import NewBracket, NewOco, NewOrder, Signing, Stop, Target
from libs.exchange.outcomes import CancelVerdict, Finding, Verdict
from libs.exchange.refusals import Reason
from libs.trading.market import OrderType, Side
from tests.support.scripted_exchange import CUT, HALF, HANG, Said, ScriptedExchange

SYMBOL = "BTC/USDT"
SIGNING = Signing(at_ms=1_760_000_000_000, recv_window_ms=1_000)
ORDER = NewOrder(
    symbol=SYMBOL,
    side=Side.BUY,
    order_type=OrderType.MARKET,
    quantity=Decimal("0.001"),
    client_order_id="ctE-test00-1",
    signing=SIGNING,
)
OCO = NewOco(
    symbol=SYMBOL,
    quantity=Decimal("0.001"),
    list_client_order_id="ctO-test00-1",
    above_client_order_id="ctP-test00-1",
    above_price=Decimal(51_000),
    below_client_order_id="ctP-test00-2",
    below_stop_price=Decimal(49_500),
    below_price=None,
    signing=SIGNING,
)
BRACKET = NewBracket(
    symbol=SYMBOL,
    list_client_order_id="ctO-test00-2",
    client_order_id="ctE-test00-2",
    quantity=Decimal("0.001"),
    price=Decimal(50_500),
    exit_quantity=Decimal("0.00099"),
    stop=Stop(client_order_id="ctP-test00-3", stop_price=Decimal(49_500)),
    target=Target(client_order_id="ctP-test00-4", price=Decimal(51_000)),
    signing=SIGNING,
)
Ask = Callable[[CcxtOrderGateway], Awaitable[Any]]


@pytest.fixture
async def exchange() -> AsyncIterator[ScriptedExchange]:
    exchange = ScriptedExchange()
    async with exchange.serving():
        yield exchange


@pytest.fixture
async def gateway(exchange: ScriptedExchange) -> AsyncIterator[CcxtOrderGateway]:
    gateway = CcxtOrderGateway(
        credentials=Credentials("key", "secret"), address=exchange.address, symbols=(SYMBOL,), clock=SystemClock()
    )
    yield gateway
    await gateway.close()
    await asyncio.sleep(0)  # lets aiohttp's transports finish closing


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (CUT, "no complete answer"),
        (HALF, "no complete answer"),
        (HANG, "no complete answer"),
        (Said({"orderId": 7, "clientOrderId": "somebody-elses"}), "does not name ctE-test00-1"),
        (Said({"orderId": 7, "clientOrderId": "ctE-test00-1"}), ""),  # ours, and nothing of what became of it
        (Said("<html>502 Bad Gateway</html>", status=502), "HTTP 502"),
        (Said({"code": -1007, "msg": "Timeout waiting for response from backend server."}, status=408), "-1007"),
    ],
)
async def test_an_order_whose_answer_proves_nothing_is_unknown_and_sent_once(
    gateway: CcxtOrderGateway,
    exchange: ScriptedExchange,
    monkeypatch: pytest.MonkeyPatch,
    answer: Said | str,
    detail: str,
):
    if answer == HANG:
        monkeypatch.setattr(ccxt_gateway, "PLACE_DEADLINE_S", 2.0)
    exchange.answers.append(answer)

    placement = await gateway.place(ORDER, purpose=Purpose.ENTRY)

    assert placement.outcome.verdict is Verdict.UNKNOWN
    assert detail in placement.outcome.detail
    assert placement.reports == ()
    assert exchange.asked == [("POST", "/api/v3/order")]


async def test_a_list_whose_answer_proves_nothing_is_unknown_and_sent_once(
    gateway: CcxtOrderGateway, exchange: ScriptedExchange
):
    exchange.answers.append(CUT)

    placement = await gateway.place_oco(OCO)

    assert placement.outcome.verdict is Verdict.UNKNOWN
    assert exchange.asked == [("POST", "/api/v3/orderList/oco")]


async def test_a_bracket_whose_answer_proves_nothing_is_unknown_and_sent_once(
    gateway: CcxtOrderGateway, exchange: ScriptedExchange
):
    exchange.answers.append(CUT)

    placement = await gateway.place_bracket(BRACKET)

    assert placement.outcome.verdict is Verdict.UNKNOWN
    assert exchange.asked == [("POST", "/api/v3/orderList/otoco")]


async def test_a_name_that_the_exchange_knows_already_proves_that_the_order_exists(
    gateway: CcxtOrderGateway, exchange: ScriptedExchange
):
    exchange.answers.append(Said({"code": -2010, "msg": "Duplicate order sent."}, status=400))

    placement = await gateway.place(ORDER, purpose=Purpose.ENTRY)

    assert placement.outcome.verdict is Verdict.EXISTS


async def test_while_the_address_is_banned_nothing_is_sent(gateway: CcxtOrderGateway, exchange: ScriptedExchange):
    exchange.answers.append(
        Said({"code": -1003, "msg": "Too many requests."}, status=418, headers={"Retry-After": "120"})
    )
    banned = await gateway.place(ORDER, purpose=Purpose.ENTRY)

    refused = await gateway.place(ORDER, purpose=Purpose.ENTRY)
    cancelled = await gateway.cancel(SYMBOL, "ctE-test00-1")
    found = await gateway.order(SYMBOL, "ctE-test00-1")
    with pytest.raises(RetryableError, match="request weight") as unread:
        await gateway.balances()

    for placement in (banned, refused):
        assert (placement.outcome.verdict, placement.outcome.reason) == (Verdict.NOT_ACCEPTED, Reason.RATE_LIMITED)
    assert (cancelled.verdict, found.finding) == (CancelVerdict.UNKNOWN, Finding.UNAVAILABLE)
    assert 110 < (unread.value.retry_in_s or 0) <= 120
    assert len(exchange.asked) == 1


@pytest.mark.parametrize("answer", [CUT, Said("oops", status=500), Said({"orderId": 7, "clientOrderId": "x"})])
async def test_a_cancel_that_is_not_confirmed_is_unknown(
    gateway: CcxtOrderGateway, exchange: ScriptedExchange, answer: Said | str
):
    exchange.answers.append(answer)

    assert (await gateway.cancel(SYMBOL, "ctE-test00-1")).verdict is CancelVerdict.UNKNOWN


async def test_a_cancel_that_is_confirmed_unreadably_is_unknown(gateway: CcxtOrderGateway, exchange: ScriptedExchange):
    exchange.answers.append(Said({"orderId": 7, "origClientOrderId": "ctE-test00-1", "status": "NEVER_SEEN"}))

    assert (await gateway.cancel(SYMBOL, "ctE-test00-1")).verdict is CancelVerdict.UNKNOWN


@pytest.mark.parametrize(
    "answer", [CUT, Said("oops", status=503), Said([]), Said({"orderId": 7, "clientOrderId": "ctE-test00-1"})]
)
async def test_a_question_about_an_order_without_a_readable_answer_is_no_answer(
    gateway: CcxtOrderGateway, exchange: ScriptedExchange, answer: Said | str
):
    exchange.answers.extend([answer, answer])

    by_name = await gateway.order(SYMBOL, "ctE-test00-1")
    by_number = await gateway.order_by_exchange_id(SYMBOL, "7")

    assert (by_name.finding, by_number.finding) == (Finding.UNAVAILABLE, Finding.UNAVAILABLE)
    assert by_name.report is None


@pytest.mark.parametrize(
    "ask",
    [
        lambda gateway: gateway.open_orders(SYMBOL),
        lambda gateway: gateway.trades(SYMBOL, from_id=None),
        lambda gateway: gateway.trades_of(SYMBOL, "7"),
        lambda gateway: gateway.balances(),
        lambda gateway: gateway.listings([SYMBOL]),
        lambda gateway: gateway.measure_clock(),
    ],
    ids=["open_orders", "trades", "trades_of", "balances", "listings", "clock"],
)
async def test_a_list_that_was_not_read_whole_is_never_an_empty_one(
    gateway: CcxtOrderGateway, exchange: ScriptedExchange, ask: Ask
):
    exchange.answers.extend([CUT, Said("null"), Said({"code": -1001, "msg": "Internal error."}, status=500)])

    for _ in range(3):
        with pytest.raises(RetryableError):
            await ask(gateway)

    assert not exchange.answers


async def test_a_clock_that_is_no_number_is_not_taken(gateway: CcxtOrderGateway, exchange: ScriptedExchange):
    exchange.answers.append(Said({"serverTime": "now"}))

    with pytest.raises(RetryableError, match="server time"):
        await gateway.measure_clock()
