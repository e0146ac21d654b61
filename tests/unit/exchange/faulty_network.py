"""The order gateway and a paper exchange that fails, in one process, in memory and on virtual time.

Real are: the gateway, ccxt, aiohttp on both sides, the exchange with its API, its faults and its journal.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
from aiohttp import web
from pydantic import TypeAdapter

from libs.common.clock import epoch_ms
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import Credentials
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.orders.port import NewBracket, NewOco, NewOrder, Signing, Stop, Target
from libs.invariants.journal import JournalReader
from libs.trading.market import OrderType, Side
from services.paper_exchange.api.keys import ApiKey, Permission
from services.paper_exchange.exchange import Exchange
from services.paper_exchange.faults.layer import FaultLayer
from services.paper_exchange.faults.menu import Fault
from services.paper_exchange.market.reel import Reel
from services.paper_exchange.market.tape import Tape
from tests.support.memory_network import MemoryConnector
from tests.support.virtual_time import VirtualClock
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, a_recording

SYMBOL: Final = "BTC/USDT"
BID: Final = Decimal(PRICE) / 100
QUANTITY: Final = Decimal("0.0005")  # 25 USDT
KEY: Final = ApiKey("main", "main", "K" * 64, "secret", frozenset(Permission))
_FAULT: Final[TypeAdapter[Fault]] = TypeAdapter(Fault)


@dataclass
class FaultyNetwork:
    """What a test needs of it."""

    gateway: CcxtOrderGateway
    exchange: Exchange
    layer: FaultLayer
    journal: Path
    clock: VirtualClock
    connector: MemoryConnector

    def arm(self, kind: str, **settings: Any) -> None:
        self.layer.faults.arm(_FAULT.validate_python({"kind": kind, **settings}))

    def accepted(self) -> list[str]:
        """Return the client order ids of everything that the exchange ever accepted, as its journal has it."""
        return [order.client_order_id for order in JournalReader(self.journal).read().orders.values()]

    def signing(self) -> Signing:
        return Signing(at_ms=epoch_ms(self.clock.now()), recv_window_ms=1_000)

    def an_order(self, client_order_id: str, *, side: Side = Side.BUY, **changes: Any) -> NewOrder:
        """Return an order that is filled at once."""
        limit = BID * (Decimal("1.01") if side is Side.BUY else Decimal("0.99"))
        settings: dict[str, Any] = {
            "order_type": OrderType.LIMIT,
            "quantity": QUANTITY,
            "price": limit.quantize(Decimal("0.01")),
            "time_in_force": "IOC",
            **changes,
        }
        return NewOrder(symbol=SYMBOL, side=side, client_order_id=client_order_id, signing=self.signing(), **settings)

    def an_oco(self, number: str) -> NewOco:
        return NewOco(
            symbol=SYMBOL,
            quantity=QUANTITY,
            list_client_order_id=f"ctO-test00-{number}",
            above_client_order_id=f"ctP-test00-{number}a",
            above_price=BID + 1_000,
            below_client_order_id=f"ctP-test00-{number}b",
            below_stop_price=BID - 1_000,
            signing=self.signing(),
        )

    def a_bracket(self, number: str, *, with_target: bool) -> NewBracket:
        """Return an entry with its exits as one list."""
        return NewBracket(
            symbol=SYMBOL,
            list_client_order_id=f"ctL-test00-{number}",
            client_order_id=f"ctE-test00-{number}",
            quantity=QUANTITY,
            price=(BID * Decimal("1.01")).quantize(Decimal("0.01")),
            exit_quantity=None,
            stop=Stop(client_order_id=f"ctP-test00-{number}b", stop_price=BID - 1_000),
            target=Target(client_order_id=f"ctP-test00-{number}a", price=BID + 1_000) if with_target else None,
            signing=self.signing(),
        )

    def clear_exits(self) -> None:
        """Make room for further lists: the exchange takes five stops of an account."""
        venue = self.exchange.venue
        for order in venue.desk.open_orders("main", "BTCUSDT"):
            if order.request.client_id.startswith("ctP-") and order.is_open:
                venue.cancel("main", order, f"clear-{order.order_id}")


@asynccontextmanager
async def faulty_network(directory: Path, *, seed: int) -> AsyncIterator[FaultyNetwork]:
    """Run both for the length of a block, on the running loop's time."""
    clock = VirtualClock()
    recording = a_recording(
        quotes=[(at_ms, PRICE) for at_ms in range(0, 100_000, 4_000)],
        trades=[(at_ms, PRICE, 10) for at_ms in range(1, 100_000, 10_000)],
        lots=1_000_000,
    )
    exchange = Exchange(
        clock=clock,
        tape=Tape.of(Reel([recording]), identity="test"),
        speed=Fraction(1),
        seed=seed,
        journal_dir=directory / "journal",
        keys=[KEY],
    )
    layer = FaultLayer(exchange, randomness=Random(seed), tell=lambda _: None)
    runner = web.AppRunner(exchange.server.application(), access_log=None)
    await runner.setup()
    server = runner.server
    assert server is not None
    gateway = CcxtOrderGateway(
        credentials=Credentials(KEY.api_key, KEY.api_secret),
        address=ExchangeAddress.of("http://127.0.0.1:1", "ws://127.0.0.1:1"),
        symbols=(SYMBOL,),
        clock=clock,
    )
    client = gateway._caller._client
    client.ssl_context = False  # nothing here is encrypted, and certificates take seconds to read
    connector = MemoryConnector(server)
    async with aiohttp.ClientSession(connector=connector) as session:
        client.session, client.own_session = session, False
        yield FaultyNetwork(gateway, exchange, layer, directory / "journal", clock, connector)
        await gateway.close()
    await asyncio.sleep(10)  # answers that are slow find out that nobody waits for them
    await runner.cleanup()
    exchange.venue.close()
