"""The gateway on an exchange whose clock is another one than ours, and whose budget is nearly used up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from libs.common.clock import epoch_ms
from libs.exchange.credentials import Credentials
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.orders import ccxt_gateway
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.orders.port import NewOrder, Signing
from libs.exchange.outcomes import CancelVerdict, Verdict
from libs.exchange.refusals import Reason, Remedy
from libs.exchange.server_clock import ServerClock
from libs.trading.market import OrderType, Side
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.scripted_exchange import Said, ScriptedExchange

SYMBOL = "BTC/USDT"
OURS = "ctE-test00-1"
CANCELED = Said(
    {
        "symbol": "BTCUSDT",
        "origClientOrderId": OURS,
        "clientOrderId": "x",
        "orderId": 7,
        "orderListId": -1,
        "status": "CANCELED",
        "side": "BUY",
        "type": "LIMIT",
        "origQty": "1",
        "executedQty": "0",
        "cummulativeQuoteQty": "0",
        "transactTime": 1,
    }
)
TOO_LATE = Said({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, status=400)
AHEAD_MS = 90_000


@dataclass
class Bench:
    clock: FakeClock
    exchange: ScriptedExchange
    gateway: CcxtOrderGateway
    server_clock: ServerClock

    def time(self, ahead_ms: int = AHEAD_MS) -> Said:
        return Said({"serverTime": epoch_ms(self.clock.now()) + ahead_ms})

    def order(self) -> NewOrder:
        return NewOrder(
            symbol=SYMBOL,
            side=Side.BUY,
            order_type=OrderType.MARKET,
            quantity=Decimal("0.001"),
            client_order_id=OURS,
            signing=Signing(at_ms=1, recv_window_ms=1_000),
        )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    exchange, clock = ScriptedExchange(), FakeClock()
    server_clock = ServerClock(clock)
    async with exchange.serving():
        gateway = CcxtOrderGateway(
            credentials=Credentials("key", "secret"),
            address=exchange.address,
            symbols=(SYMBOL,),
            clock=clock,
            server_clock=server_clock,
            budget=AddressBudget(clock, server_clock),
        )
        yield Bench(clock, exchange, gateway, server_clock)
        await gateway.close()
        await asyncio.sleep(0)  # lets aiohttp's transports finish closing


async def test_a_cancel_is_signed_with_the_exchanges_time_whatever_the_computers_clock_says(bench: Bench):
    bench.exchange.answers.extend([bench.time(), CANCELED])
    await bench.gateway.measure_clock()
    bench.clock.step_wall(-3_600)

    cancellation = await bench.gateway.cancel(SYMBOL, OURS)

    truth_ms = epoch_ms(bench.clock.now()) + 3_600_000 + AHEAD_MS
    assert cancellation.verdict is CancelVerdict.CANCELED
    assert bench.exchange.parameters[-1]["timestamp"] == str(truth_ms)


async def test_a_refused_time_is_measured_anew_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ccxt_gateway, "CLOCK_RETRY_S", 0.01)
    monkeypatch.setattr(ccxt_gateway, "CLOCK_INTERVAL_S", 60.0)
    bench.exchange.answers.append(bench.time())
    keeping = asyncio.create_task(bench.gateway.keep_time())

    async def is_measured() -> bool:
        return bench.gateway.clock_offset_ms == AHEAD_MS

    await eventually(is_measured)
    bench.exchange.answers.extend([TOO_LATE, bench.time(AHEAD_MS - 1_700)])

    placement = await bench.gateway.place(bench.order(), purpose=Purpose.ENTRY)

    async def is_measured_anew() -> bool:
        return bench.gateway.clock_offset_ms == AHEAD_MS - 1_700

    await eventually(is_measured_anew)
    keeping.cancel()
    await asyncio.wait({keeping})
    assert placement.outcome.reason is Reason.CLOCK_SKEW
    assert placement.outcome.remedy is Remedy.MEASURE_CLOCK
    assert [path for _, path in bench.exchange.asked] == ["/api/v3/time", "/api/v3/order", "/api/v3/time"]


async def test_a_clock_that_cannot_be_read_is_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ccxt_gateway, "CLOCK_RETRY_S", 0.01)
    bench.exchange.answers.extend([Said("oops", status=500), Said({"serverTime": "now"}), bench.time()])
    keeping = asyncio.create_task(bench.gateway.keep_time())

    async def is_measured() -> bool:
        return bench.gateway.clock_offset_ms == AHEAD_MS

    await eventually(is_measured)
    keeping.cancel()
    await asyncio.wait({keeping})


async def test_polling_leaves_the_last_of_the_budget_to_cancels(bench: Bench):
    nearly_used_up = Said([], headers={"x-mbx-used-weight-1m": "5990"})
    bench.exchange.answers.extend([nearly_used_up, CANCELED])
    await bench.gateway.open_orders(SYMBOL)

    assert 0 < bench.gateway.wait_s(Purpose.RECONCILIATION) <= 60
    assert 0 < bench.gateway.wait_s(Purpose.ENTRY) <= 60
    assert 0 < bench.gateway.wait_s(Purpose.CLOCK) <= 60
    assert bench.gateway.wait_s(Purpose.REDUCTION) == 0
    assert (await bench.gateway.cancel(SYMBOL, OURS)).verdict is CancelVerdict.CANCELED


async def test_too_many_orders_hold_back_orders_and_no_cancel(bench: Bench):
    text = "Too many new orders; current limit is 100 orders per 10 SECOND."
    bench.exchange.answers.extend(
        [Said({"code": -1015, "msg": text}, status=429, headers={"Retry-After": "9"}), CANCELED]
    )

    refused = await bench.gateway.place(bench.order(), purpose=Purpose.REDUCTION)
    held = await bench.gateway.place(bench.order(), purpose=Purpose.REDUCTION)
    cancellation = await bench.gateway.cancel(SYMBOL, OURS)

    for placement in (refused, held):
        assert (placement.outcome.verdict, placement.outcome.reason) == (Verdict.NOT_ACCEPTED, Reason.RATE_LIMITED)
    assert cancellation.verdict is CancelVerdict.CANCELED
    assert 0 < bench.gateway.wait_s(Purpose.REDUCTION, orders=1) <= 10
    assert bench.gateway.wait_s(Purpose.REDUCTION) == 0
    assert [path for _, path in bench.exchange.asked] == ["/api/v3/order", "/api/v3/order"]


async def test_only_the_rules_that_are_traded_are_asked_for(bench: Bench):
    bench.exchange.answers.append(Said({"symbols": []}))

    with pytest.raises(Exception, match="no such symbol"):
        await bench.gateway.listings([SYMBOL])

    assert bench.exchange.parameters[-1]["symbols"] == '["BTCUSDT"]'
