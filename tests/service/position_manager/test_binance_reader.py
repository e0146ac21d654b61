"""The read-only exchange client against an HTTP server that answers as Binance documents it."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.errors import ConfigurationError, RetryableError
from libs.exchange.limits import AddressBudget
from services.position_manager.adapters.exchange import ApiKey, BinanceReader, read_keys
from tests.support.clock import FakeClock

FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
    {"filterType": "NOTIONAL", "minNotional": "5.0", "maxNotional": "9000000.0"},
]


class Venue:
    """Answers four paths and remembers what was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answers: dict[str, object] = {
            "/api/v3/time": {"serverTime": 1_700_000_000_123},
            "/api/v3/account": {
                "updateTime": 1_700_000_000_000,
                "balances": [
                    {"asset": "USDT", "free": "9000.50", "locked": "1000.00"},
                    {"asset": "BTC", "free": "0.05", "locked": "0.00"},
                ],
            },
            "/api/v3/exchangeInfo": {
                "symbols": [
                    {
                        "symbol": "BTCUSDT",
                        "status": "TRADING",
                        "baseAsset": "BTC",
                        "quoteAsset": "USDT",
                        "orderTypes": ["LIMIT", "MARKET"],
                        "filters": FILTERS,
                    }
                ]
            },
            "/api/v3/klines": [[1_700_000_000_000, "1", "2", "0.5", "1.23456789", "10"]],
        }
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.Response(status=self.status, text=json.dumps(self.answers[request.path]))


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
async def reader(venue: Venue) -> AsyncIterator[BinanceReader]:
    application = web.Application()
    application.router.add_get("/{path:.*}", venue.answer)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        yield BinanceReader(
            session,
            rest_url=str(server.make_url("/")),
            keys={"main": ApiKey("key", "secret")},
            budget=AddressBudget(FakeClock()),
        )


async def test_balances_are_free_and_locked_together_and_exact(reader):
    balances = await reader.balances("main")

    assert balances.quantities == {"USDT": Decimal("10000.50"), "BTC": Decimal("0.05")}
    assert balances.updated_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


async def test_the_account_is_asked_for_with_the_exchanges_own_time_and_a_signature(reader, venue):
    await reader.balances("main")

    request = venue.requests[-1]
    query, _, signature = request.query_string.rpartition("&signature=")
    assert request.headers["X-MBX-APIKEY"] == "key"
    assert query == "recvWindow=5000&timestamp=1700000000123"
    assert signature == hmac.new(b"secret", query.encode(), hashlib.sha256).hexdigest()


def test_an_ed25519_key_signs_too():
    private_key = Ed25519PrivateKey.generate()
    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    signed = ApiKey("key", pem.decode()).signed("timestamp=1")

    assert signed.startswith("timestamp=1&signature=")
    assert "%3D" in signed  # base64 padding, percent-encoded as Binance asks


async def test_filters_and_closing_prices_are_read(reader, venue):
    instruments = await reader.instruments(["BTC/USDT"])
    price = await reader.closing_price("BTC/USDT", datetime(2026, 11, 23, tzinfo=UTC))

    assert instruments["BTC/USDT"].notional_min == Decimal(5)
    assert price == Decimal("1.23456789")
    assert venue.requests[-1].query["endTime"] == "1795391999999"  # the millisecond before midnight


@pytest.mark.parametrize("answer", [{}, [], None, {"balances": [{"asset": "BTC"}]}, {"balances": 5}])
async def test_a_malformed_answer_is_worth_another_try(reader, venue, answer):
    venue.answers["/api/v3/account"] = answer

    with pytest.raises(RetryableError, match="account"):
        await reader.balances("main")


async def test_an_error_of_the_exchange_is_worth_another_try(reader, venue):
    venue.status = 503

    with pytest.raises(RetryableError, match="found 503"):
        await reader.closing_price("BTC/USDT", datetime(2026, 11, 23, tzinfo=UTC))


@pytest.mark.parametrize("status", [418, 429])
async def test_an_address_that_is_to_wait_is_not_asked_again(reader, venue, status):
    venue.status = status

    for _ in range(3):
        with pytest.raises(RetryableError):
            await reader.closing_price("BTC/USDT", datetime(2026, 11, 23, tzinfo=UTC))

    assert len(venue.requests) == 1


async def test_an_unreachable_exchange_is_worth_another_try(unused_tcp_port):
    async with aiohttp.ClientSession() as session:
        reader = BinanceReader(
            session, rest_url=f"http://127.0.0.1:{unused_tcp_port}", keys={}, budget=AddressBudget(FakeClock())
        )

        with pytest.raises(RetryableError, match="expected an answer"):
            await reader.instruments(["BTC/USDT"])


async def test_an_account_without_a_key_is_a_configuration_error(reader):
    with pytest.raises(ConfigurationError, match="'other'"):
        await reader.balances("other")


def test_keys_are_read_by_account(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text('{"main": {"api_key": "a", "api_secret": "b"}}')

    assert read_keys(path) == {"main": ApiKey("a", "b")}
    assert read_keys(None) == {}
    assert "b" not in repr(ApiKey("a", "b"))


@pytest.mark.parametrize("content", ["", "[]", '{"main": {}}', '{"main": 5}'])
def test_an_unreadable_key_file_is_a_configuration_error_without_its_content(tmp_path, content):
    path = tmp_path / "keys.json"
    path.write_text(content)

    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        read_keys(path)


@pytest.mark.parametrize(("told", "identity"), [({"uid": 354937868}, "354937868"), ({}, None)])
async def test_an_accounts_own_id_is_read_where_the_exchange_tells_it(reader, venue, told, identity):
    venue.answers["/api/v3/account"] = {"updateTime": 1, "balances": [], **told}

    assert await reader.identity("main") == identity


async def test_the_id_of_an_account_without_a_key_cannot_be_asked_for(reader):
    with pytest.raises(ConfigurationError, match="'second'"):
        await reader.identity("second")


async def test_an_answer_that_is_no_account_is_asked_for_again(reader, venue):
    venue.answers["/api/v3/account"] = 7

    with pytest.raises(RetryableError, match="its documented answer"):
        await reader.identity("main")
