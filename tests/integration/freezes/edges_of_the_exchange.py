"""The exchange's REST API and streams, through `libs/exchange` and the services that ask it themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any, Final

import aiohttp
from pydantic import SecretStr

from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import Credentials
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.market_data.ccxt_pro import CLOSE_DEADLINE_S, SILENCE_S_MAX, CcxtMarketData
from libs.exchange.orders.calling import READ_DEADLINE_S
from libs.exchange.orders.ccxt_gateway import PLACE_DEADLINE_S, CcxtOrderGateway
from libs.exchange.orders.port import NewOrder, Signing
from libs.exchange.outcomes import CancelVerdict, Finding, Verdict
from libs.exchange.user_stream import client as user_stream
from libs.exchange.user_stream.client import UserStream
from libs.trading.market import OrderType, Side
from services.position_manager.adapters.exchange import CALL_DEADLINE_S, BinanceReader
from services.risk_manager.adapters.market import REQUEST_TIMEOUT_S, ExchangeInstruments
from services.watchdog.exchange import REQUEST_S_MAX, ExchangeAccount, ExchangeKey, OpenOrder
from tests.integration.freezes.edges import Call, Client, Edge
from tests.support.virtual_time import VirtualClock

SYMBOL: Final = "BTC/USDT"
MARKET_DEADLINE_S: Final = 3.0
LOOK_INTERVAL_S: Final = 0.05
CREDENTIALS: Final = Credentials("key", "secret")
ORDER: Final = NewOrder(
    symbol=SYMBOL,
    side=Side.BUY,
    order_type=OrderType.MARKET,
    quantity=Decimal("0.001"),
    client_order_id="ctE-test00-1",
    signing=Signing(at_ms=1_760_000_000_000, recv_window_ms=1_000),
)


def _address(url: str) -> ExchangeAddress:
    return ExchangeAddress.of(url, url.replace("http", "ws", 1))


def _budget() -> AddressBudget:
    return AddressBudget(VirtualClock())


def _orders(calling: Callable[[CcxtOrderGateway], Call]) -> Any:
    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[Client]:
        gateway = CcxtOrderGateway(
            credentials=CREDENTIALS, address=_address(url), symbols=[SYMBOL], clock=VirtualClock()
        )
        try:
            yield Client(calling(gateway), before=gateway.measure_clock)
        finally:
            await gateway.close()

    return client


def _placing(gateway: CcxtOrderGateway) -> Call:
    async def call() -> bool:
        placement = await gateway.place(ORDER, purpose=Purpose.ENTRY)
        return placement.outcome.verdict is Verdict.ACCEPTED

    return call


def _cancelling(gateway: CcxtOrderGateway) -> Call:
    async def call() -> bool:
        return (await gateway.cancel(SYMBOL, "ctE-test00-1")).verdict is not CancelVerdict.UNKNOWN

    return call


def _looking_up(gateway: CcxtOrderGateway) -> Call:
    async def call() -> bool:
        return (await gateway.order(SYMBOL, "ctE-test00-1")).finding is not Finding.UNAVAILABLE

    return call


@asynccontextmanager
async def _market_data(url: str) -> AsyncIterator[CcxtMarketData]:
    market = CcxtMarketData(
        address=_address(url),
        symbols=[SYMBOL],
        clock=VirtualClock(),
        randomness=Random(1),
        deadline_s=MARKET_DEADLINE_S,
    )
    try:
        yield market
    finally:
        await market.aclose()


@asynccontextmanager
async def _market(url: str) -> AsyncIterator[Client]:
    async with _market_data(url) as market:
        yield Client(market.server_time)


@asynccontextmanager
async def _ticks(url: str) -> AsyncIterator[Client]:
    """Until it is known that no ticks arrive."""
    async with _market_data(url) as market, aclosing(market.ticks()) as ticks:

        async def call() -> None:
            async for _ in ticks:
                pass

        yield Client(call, before=lambda: anext(ticks))


@asynccontextmanager
async def _leaving(url: str) -> AsyncIterator[Client]:
    async with _market_data(url) as market, aclosing(market.ticks()) as ticks:
        yield Client(market.aclose, before=lambda: anext(ticks))


def _stream(url: str, path: str = "/ws-api/v3") -> UserStream:
    return UserStream(
        url=f"{url.replace('http', 'ws', 1)}{path}",
        credentials=CREDENTIALS,
        symbols={"BTCUSDT": SYMBOL},
        clock=VirtualClock(),
        clock_offset_ms=lambda: 0,
        randomness=Random(1),
        budget=_budget(),
    )


@asynccontextmanager
async def _user_events(url: str) -> AsyncIterator[Client]:
    """Until it is known that no events are delivered."""
    stream = _stream(url)
    running = asyncio.create_task(stream.run())

    async def call() -> None:
        while stream.is_connected:  # noqa: ASYNC110 - it is asked as its users ask
            await asyncio.sleep(LOOK_INTERVAL_S)

    try:
        yield Client(call, before=stream.next_event)
    finally:
        running.cancel()
        await asyncio.wait({running})


@asynccontextmanager
async def _user_connection(url: str) -> AsyncIterator[Client]:
    """A connection, and until it is given up for want of a subscription."""
    stream = _stream(url, "/not-subscribed")
    async with aiohttp.ClientSession() as session:
        socket = await stream._open(session)
        yield Client(lambda: stream._listen(socket), before=_nothing)


async def _nothing() -> None:
    """Ask nothing."""


def _asking(calling: Callable[[aiohttp.ClientSession, str], Call]) -> Any:
    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[Client]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def before() -> None:
                async with session.get(f"{url}/api/v3/time") as response:
                    await response.read()

            yield Client(calling(session, url), before=before)

    return client


def _rules(session: aiohttp.ClientSession, url: str) -> Call:
    instruments = ExchangeInstruments(address=url, symbols=[SYMBOL], budget=_budget())
    return lambda: instruments._refresh(session)


def _instruments(session: aiohttp.ClientSession, url: str) -> Call:
    reader = BinanceReader(session, rest_url=url, keys={}, budget=_budget())
    return lambda: reader.instruments([SYMBOL])


def _account(session: aiohttp.ClientSession, url: str) -> ExchangeAccount:
    key = ExchangeKey(api_key="key", api_secret=SecretStr("secret"))
    return ExchangeAccount(session, address=url, key=key, budget=_budget())


def _sweep(session: aiohttp.ClientSession, url: str) -> Call:
    account = _account(session, url)
    return lambda: account.open_orders(1_760_000_000_000)


def _emergency_cancel(session: aiohttp.ClientSession, url: str) -> Call:
    account, order = _account(session, url), OpenOrder("BTCUSDT", 1, "ctE-test00-1")

    async def call() -> bool:
        await account.cancel(order, 1_760_000_000_000)
        return True

    return call


EDGES = (
    Edge("placing", "exchange", _orders(_placing), PLACE_DEADLINE_S),
    Edge("cancelling", "exchange", _orders(_cancelling), PLACE_DEADLINE_S),
    Edge("looking an order up", "exchange", _orders(_looking_up), READ_DEADLINE_S),
    Edge("reading balances", "exchange", _orders(lambda gateway: gateway.balances), READ_DEADLINE_S),
    Edge("market data over REST", "exchange", _market, MARKET_DEADLINE_S),
    Edge("ticks", "exchange", _ticks, SILENCE_S_MAX + CLOSE_DEADLINE_S),
    Edge("leaving the ticks", "exchange", _leaving, CLOSE_DEADLINE_S, None),
    Edge("user events", "exchange", _user_events, user_stream.SILENCE_S_MAX, None),
    Edge(
        "the user stream's subscription",
        "exchange",
        _user_connection,
        user_stream.SUBSCRIBE_DEADLINE_S + user_stream.CLOSE_DEADLINE_S,
        user_stream.CONNECT_DEADLINE_S,
    ),
    Edge("the risk manager's rules", "exchange", _asking(_rules), REQUEST_TIMEOUT_S),
    Edge("the position manager's rules", "exchange", _asking(_instruments), CALL_DEADLINE_S),
    Edge("an emergency's sweep", "exchange", _asking(_sweep), REQUEST_S_MAX),
    Edge("an emergency's cancel", "exchange", _asking(_emergency_cancel), REQUEST_S_MAX),
)
