"""Two accounts of ours meet in one trade at the exchange: it is two fills, and both are recorded."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from libs.common.clock import SystemClock
from libs.common.errors import ConfigurationError, RetryableError
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import Credentials
from libs.exchange.identities import Identities
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.orders.port import Balance, TradeReport
from libs.invariants.journal import JournalReader
from libs.trading.market import Side
from libs.trading.risk import Role
from services.paper_exchange.market.recording import Recording
from services.paper_exchange.market.reel import Reel
from services.paper_exchange.market.tape import Tape
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.ports import Records
from services.trade_executor.service.venues import Venues
from tests.contract.paper_exchange.local_exchange import LocalExchange, local_exchange
from tests.contract.trade_executor.test_executor_records import BTC, Transact, an_entry, fill, insert, transact

__all__ = ["transact"]

T = TypeVar("T")

MAIN, SECOND = "main", "second"
DEADLINE_S = 60.0
PRICE = Decimal("2600.50")
QUANTITY = Decimal("0.01")


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[LocalExchange]:
    """Return an exchange with two accounts and a market that leaves room between bid and ask."""
    async with local_exchange(tmp_path, accounts=(MAIN, SECOND), tape=a_wide_market()) as local:
        yield local


@pytest.fixture
async def gateways(exchange: LocalExchange) -> AsyncIterator[Mapping[str, CcxtOrderGateway]]:
    async with AsyncExitStack() as stack:
        found = {}
        for account in (MAIN, SECOND):
            key = exchange.keys[account]
            found[account] = CcxtOrderGateway(
                credentials=Credentials(key.api_key, key.api_secret),
                address=ExchangeAddress.of(exchange.rest, exchange.socket),
                symbols=[BTC],
                clock=SystemClock(),
            )
            stack.push_async_callback(found[account].close)
            await answered(found[account].measure_clock)
        yield found
    await asyncio.sleep(0)  # lets aiohttp's transports finish closing


async def test_a_trade_between_two_accounts_of_ours_is_a_fill_of_each(
    tmp_path: Path, exchange: LocalExchange, gateways: Mapping[str, CcxtOrderGateway], transact: Transact
):
    opening = {account: await answered(gateway.balances) for account, gateway in gateways.items()}
    resting, incoming = an_order(MAIN, Side.BUY, "GTC", 1), an_order(SECOND, Side.SELL, "IOC", 2)
    for order in (resting, incoming):
        await transact(partial(opened, order.account, opening[order.account]))
        await insert(transact, order)
    exchange_ids = {order.account: await placed(exchange, order) for order in (resting, incoming)}

    trades: dict[str, TradeReport] = {}
    for order in (resting, incoming):
        gateway, exchange_id = gateways[order.account], exchange_ids[order.account]
        (trade,) = await answered(partial(gateway.trades_of, BTC, exchange_id))
        trades[order.account] = trade
        assert await fill(transact, order, trade)
        assert not await fill(transact, order, trade)

    assert trades[MAIN].trade_id == trades[SECOND].trade_id
    assert trades[MAIN].exchange_order_id != trades[SECOND].exchange_order_id
    assert [trades[account].maker for account in (MAIN, SECOND)] == [True, False]
    truth = JournalReader(tmp_path / "journal").read()
    assert {fill.key for fill in truth.fills.values()} == {
        (account, "BTCUSDT", trade.trade_id, trade.exchange_order_id) for account, trade in trades.items()
    }
    for account, gateway in gateways.items():
        held = await answered(gateway.balances)
        ledger = await transact(partial(ledger_of, account))
        assert {asset: ledger[asset] for asset in ("BTC", "USDT")} == {
            asset: held[asset].total for asset in ("BTC", "USDT")
        }


async def test_two_names_of_one_account_are_told_apart_from_two_accounts(gateways: Mapping[str, CcxtOrderGateway]):
    one_account_twice = Venues({MAIN: gateways[MAIN], SECOND: gateways[MAIN]}, SystemClock())
    two_accounts = Venues(gateways, SystemClock())

    with pytest.raises(ConfigurationError, match="main and second"):
        await Identities().find_out((MAIN, SECOND), lambda name: answered(partial(one_account_twice.identity, name)))
    await Identities().find_out((MAIN, SECOND), lambda name: answered(partial(two_accounts.identity, name)))


async def opened(account: str, balances: Mapping[str, Balance], records: Records) -> None:
    await records.open_ledger(account, balances)


async def ledger_of(account: str, records: Records) -> Mapping[str, Decimal]:
    return await records.ledger(account)


def an_order(account: str, side: Side, time_in_force: str, number: int) -> ExecutorOrder:
    role = Role.ENTRY if side is Side.BUY else Role.EXIT
    return an_entry(
        number,
        intent_id=uuid.UUID(int=number),
        account=account,
        side=side,
        role=role,
        time_in_force=time_in_force,
        price=PRICE,
        quantity=QUANTITY,
        client_order_id=f"ct{role.name[0]}-test00-{number}",
    )


async def placed(exchange: LocalExchange, order: ExecutorOrder) -> str:
    """Send an order with the key of its account and return the exchange's id of it."""
    exchange.key = exchange.keys[order.account]
    status, answer = await exchange.ask_signed(
        "POST",
        "/api/v3/order",
        symbol="BTCUSDT",
        side=order.side.value,
        type="LIMIT",
        timeInForce=order.time_in_force,
        quantity=str(order.quantity),
        price=str(order.price),
        newClientOrderId=order.client_order_id,
        recvWindow=60_000,
    )
    assert status == 200, answer
    return str(answer["orderId"])


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Return an answer of the exchange; a machine that is busy may not give it in the gateway's time."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                return await ask()
            except RetryableError:
                await asyncio.sleep(0.1)


def a_wide_market() -> Tape:
    """Return a market that stands still at 2,600 and 2,601, where only buyers come: none of them takes a bid."""
    seconds = range(0, 60_000, 1_000)
    count = len(seconds)
    recording = Recording(
        symbol="BTCUSDT",
        price_tick="0.01",
        lot_step="0.00001",
        length_ms=60_000,
        source="still",
        quote_times=list(seconds),
        bids=[260_000] * count,
        asks=[260_100] * count,
        bid_lots=[60_000] * count,
        ask_lots=[60_000] * count,
        trade_times=[at_ms + 500 for at_ms in seconds],
        quotes_before=list(range(1, count + 1)),
        prices=[260_100] * count,
        lots=[1_000] * count,
        buyer_is_maker=[False] * count,
    )
    return Tape.of(Reel([recording]), identity="a wide still market")
