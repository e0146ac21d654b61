"""Fifty open entries in ten markets are cancelled, and verified to be, on the paper exchange itself."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.events import AccountSwept
from libs.common.control.halts import HaltRecord, LatchView
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import Credentials
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.orders.port import OrderReport
from libs.trading.risk import Role
from services.paper_exchange.market.recording import Recording
from services.paper_exchange.market.reel import Reel
from services.paper_exchange.market.tape import BEGINNING, Splice, Tape
from services.paper_exchange.venue.rules import LISTED, SymbolRules
from services.trade_executor.domain.identifiers import client_order_id
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.clearing import Clearing
from services.trade_executor.service.sweeping import Sweeper
from services.trade_executor.service.venues import Venues
from tests.contract.paper_exchange.faulty_exchange import FaultyExchange, faulty_exchange
from tests.support.executor_records import ACCOUNT, FakeTransactions, Tables

INSTALLATION = "test00"
BASES = ("BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "LTC", "DOT", "AVA", "TRX")
SYMBOLS = tuple(f"{base}/USDT" for base in BASES)
ENTRIES_EACH = 5
DEADLINE_S = 120.0


class Bench:
    """The executor's sweeps on an exchange that lists ten markets; time is real."""

    def __init__(self, faulty: FaultyExchange) -> None:
        self.faulty = faulty
        clock = SystemClock()
        self.gateway = CcxtOrderGateway(
            credentials=Credentials(faulty.local.key.api_key, faulty.local.key.api_secret),
            address=ExchangeAddress.of(faulty.local.rest, faulty.local.socket),
            symbols=SYMBOLS,
            clock=clock,
        )
        self.tables, self.brake = Tables(), Brake(clock)
        self.ended: list[OrderReport] = []
        venues = Venues({ACCOUNT: self.gateway}, clock)
        sweeper = Sweeper(installation=INSTALLATION, venues=venues, take_report=self.take_report)
        self.clearing = Clearing(
            symbols=SYMBOLS,
            recv_window_ms=1_000,
            brake=self.brake,
            sweeper=sweeper,
            venues=venues,
            transactions=FakeTransactions(self.tables, epoch=1),
            clock=clock,
        )

    async def take_report(self, _: str, report: OrderReport) -> None:
        self.ended.append(report)

    async def enter(self, symbol: str, *, role: Role = Role.ENTRY, installation: str = INSTALLATION) -> str:
        """Place an order that rests far below the market."""
        name = client_order_id(uuid.uuid4(), role, installation)
        spelled = symbol.replace("/", "")
        _, ticker = await self.faulty.local.ask("GET", "/api/v3/ticker/price", symbol=spelled)
        price = (Decimal(ticker["price"]) * Decimal("0.5")).quantize(Decimal("0.01"))
        quantity = (Decimal(10) / price).quantize(Decimal("0.0001"))
        status, answer = await self.faulty.local.ask_signed(
            "POST",
            "/api/v3/order",
            symbol=spelled,
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity=str(quantity),
            price=str(price),
            newClientOrderId=name,
        )
        assert status == 200, answer
        self.faulty.local.forget_limits()
        return name

    async def halt(self) -> AccountSwept:
        """Halt, and sweep until it is verified."""
        halt = HaltRecord(halt_id="halt", account=ACCOUNT, halted_at=SystemClock().now())
        self.brake.on_latch(LatchView(records=(halt,)))
        self.clearing.want(ACCOUNT, [halt])
        async with asyncio.timeout(DEADLINE_S):
            while not self.tables.events:
                await self.clearing.step()
                await asyncio.sleep(0.01)
        (swept,) = self.tables.events
        assert isinstance(swept, AccountSwept)
        return swept

    def open(self) -> set[str]:
        """Return the client ids of what is open at the exchange."""
        return {order.request.client_id for order in self.faulty.local.exchange.venue.desk.open_orders()}


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    for base in BASES[2:]:
        rules = SymbolRules(
            f"{base}USDT", base, "USDT", tick_units=1_000_000, step_units=10_000, market_lots_max=27_000_000
        )
        monkeypatch.setitem(LISTED, f"{base}USDT", rules)
    async with faulty_exchange(tmp_path, tape=ten_still_markets()) as faulty:
        bench = Bench(faulty)
        try:
            yield bench
        finally:
            await bench.gateway.close()
            await asyncio.sleep(0)


@cache
def ten_still_markets() -> Tape:
    """Return ten markets in which nothing moves."""
    seconds = range(0, 60_000, 1_000)
    count = len(seconds)
    reel = Reel(
        [
            Recording(
                symbol=f"{base}USDT",
                price_tick="0.01",
                lot_step="0.00001" if base == "BTC" else "0.0001",
                length_ms=60_000,
                source="still",
                quote_times=list(seconds),
                bids=[260_000] * count,
                asks=[260_001] * count,
                bid_lots=[60_000] * count,
                ask_lots=[60_000] * count,
                trade_times=[at_ms + 500 for at_ms in seconds],
                quotes_before=list(range(1, count + 1)),
                prices=[260_000] * count,
                lots=[1_000] * count,
                buyer_is_maker=[True] * count,
            )
            for base in BASES
        ]
    )
    return Tape([Splice(BEGINNING, 0, reel)], identity="ten still markets", halts=[])


async def with_fifty_entries(bench: Bench) -> set[str]:
    """Open five entries in each market, and beside them what must stay; return what must stay."""
    await bench.gateway.measure_clock()
    for symbol in SYMBOLS:
        for _ in range(ENTRIES_EACH):
            await bench.enter(symbol)
    kept = {
        await bench.enter(SYMBOLS[0], role=Role.PROTECTION),
        await bench.enter(SYMBOLS[0], installation="other0"),
    }
    assert len(bench.open()) == len(SYMBOLS) * ENTRIES_EACH + len(kept)
    return kept


async def test_fifty_entries_in_ten_markets_are_cancelled_and_nothing_else(bench: Bench) -> None:
    kept = await with_fifty_entries(bench)

    swept = await bench.halt()

    assert swept.orders_cancelled == len(bench.ended) == 50
    assert bench.open() == kept


async def test_they_are_cancelled_under_refusals_to_answer_lost_and_failed_answers_too(bench: Bench) -> None:
    kept = await with_fifty_entries(bench)
    bench.faulty.arm("request_throttled", probability=0.05, count=2, retry_after_s=1)
    bench.faulty.arm("request_failed", probability=0.2, status=503, code=-1008)
    bench.faulty.arm("reply_failed", probability=0.2, on={"method": "DELETE"}, for_s=30)
    bench.faulty.arm("reply_cut", probability=0.1, for_s=30)
    bench.faulty.arm("reply_slow", probability=0.2, delay_ms_max=200)

    swept = await bench.halt()

    assert 0 < swept.orders_cancelled <= 50  # of a cancel whose answer was lost nobody can say whose it was
    assert bench.open() == kept
    assert len(bench.faulty.strikes) > 10
