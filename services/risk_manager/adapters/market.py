"""What the risk manager observes of the market: statuses from Kafka, the newest quotes, the exchange's rules."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Final

import aiohttp
import structlog
from redis.asyncio import Redis

from libs.common.clock import Clock, epoch_ms
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import MarketStatusChanged
from libs.common.errors import RetryableError
from libs.common.storage import keys
from libs.common.storage.redis import UNREACHABLE
from libs.exchange.instruments import exchange_symbol, parse_listings
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.replies import Reply
from libs.trading.instruments import Instrument
from libs.trading.market import Quote
from services.risk_manager.domain.figures import MarketFacts
from services.risk_manager.domain.observed_market import ObservedMarket

REFRESH_INTERVAL_S: Final = 60.0
RETRY_S: Final = 2.0
REQUEST_TIMEOUT_S: Final = 10.0
EXCHANGE_INFO_WEIGHT: Final = 20

_log = structlog.get_logger(__name__)


class ExchangeInstruments:
    """Implements `Instruments`: reads the public `exchangeInfo` at the start and every minute.

    Args:
        address: Base address of the exchange's REST API.
        symbols: What is traded.
        budget: What the address may still ask.
    """

    def __init__(self, *, address: str, symbols: Sequence[str], budget: AddressBudget) -> None:
        self._budget = budget
        self._address = address.rstrip("/")
        self._symbols = tuple(symbols)
        self._instruments: dict[str, Instrument] = {}

    def get(self, symbol: str) -> Instrument | None:
        """Return the symbol's rules; None until they have been read."""
        return self._instruments.get(symbol)

    async def known(self) -> bool:
        """Readiness: the rules have been read."""
        return len(self._instruments) == len(self._symbols)

    async def run(self) -> None:
        """Keep the rules fresh, for ever; an unreachable exchange leaves those of the last reading."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    await self._refresh(session)
                except (RetryableError, aiohttp.ClientError, TimeoutError, ValueError) as error:
                    _log.warning("The exchange's rules cannot be read", error=repr(error)[:500])
                    await asyncio.sleep(RETRY_S)
                else:
                    await asyncio.sleep(REFRESH_INTERVAL_S)

    async def _refresh(self, session: aiohttp.ClientSession) -> None:
        names = json.dumps([exchange_symbol(symbol) for symbol in self._symbols], separators=(",", ":"))
        with self._budget.spending(Purpose.RECONCILIATION, weight=EXCHANGE_INFO_WEIGHT):
            async with session.get(f"{self._address}/api/v3/exchangeInfo", params={"symbols": names}) as response:
                reply = Reply.of(status=response.status, headers=response.headers, text=await response.text())
        self._budget.observe(reply)
        if reply.status != HTTPStatus.OK:
            raise RetryableError(f"exchangeInfo: expected status 200, found {reply.status}")
        listings = parse_listings(reply.body, self._symbols)
        self._instruments = {symbol: listing.instrument for symbol, listing in listings.items()}


class MarketView:
    """Implements `Market`: the market monitor's statuses, and its newest prices in Redis.

    Args:
        observed: What the statuses said.
        client: A client with short socket timeouts and no retry, which decodes its answers.
        clock: Ages what was observed.
    """

    def __init__(self, *, observed: ObservedMarket, client: Redis, clock: Clock) -> None:
        self._observed = observed
        self._client = client
        self._clock = clock

    async def on_status(self, envelope: Envelope[MarketStatusChanged]) -> None:
        """Take note of a status."""
        self._observed.hear(envelope.event, now_s=self._clock.monotonic_s())

    def facts(self, symbol: str) -> MarketFacts:
        """Return what is known of a symbol's market."""
        return self._observed.facts(symbol, now_s=self._clock.monotonic_s())

    async def quote(self, symbol: str) -> Quote | None:
        """Return the newest best bid and ask; None if nobody knows it."""
        try:
            content = await self._client.get(keys.latest_price(symbol))
        except UNREACHABLE:
            return None
        return None if content is None else _quote(symbol, content)


def _quote(symbol: str, content: bytes | str) -> Quote | None:
    """Return the quote that the market monitor wrote; None where it knew no bid or ask yet."""
    try:
        fields = json.loads(content)
        return Quote(
            symbol=symbol,
            bid=Decimal(fields["bid"]),
            ask=Decimal(fields["ask"]),
            bid_quantity=Decimal(0),
            ask_quantity=Decimal(0),
            at_ms=epoch_ms(datetime.fromisoformat(fields["at"])),
        )
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return None
