"""What a signed request costs, and when it is too early or too late."""

import hashlib
import hmac
from typing import Any

import pytest

from services.paper_exchange.api.account import Account
from services.paper_exchange.api.gate import Answer, Endpoint, Gate, Request
from services.paper_exchange.api.keys import ApiKey, Permission
from services.paper_exchange.api.limits import Limits
from services.paper_exchange.api.trading import Trading
from services.paper_exchange.api.wallet import Wallet
from tests.unit.paper_exchange.paper_exchange_builders import VenueBench

KEY = ApiKey("main", "main", "K" * 64, "secret", frozenset(Permission))
BTC = {"symbol": "BTCUSDT"}
ORDER = BTC | {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": "49000"}


class GateBench:
    """A gate with the signed endpoints behind it."""

    def __init__(self, bench: VenueBench) -> None:
        self.bench = bench
        limits = Limits()
        self._gate = Gate(venue=bench.venue, keys=[KEY], limits=limits)
        endpoints: list[Endpoint] = [
            *Trading(venue=bench.venue, limits=limits).endpoints(),
            *Account(venue=bench.venue, limits=limits).endpoints(),
            *Wallet(venue=bench.venue).endpoints(),
        ]
        self.endpoints = {f"{each.method} {each.path.removeprefix('/api/v3/')}": each for each in endpoints}

    def ask(self, name: str, parameters: dict[str, Any]) -> Answer:
        values = {"timestamp": self.bench.venue.now_ms} | parameters
        payload = "&".join(f"{name}={value}" for name, value in values.items()).encode()
        signature = hmac.new(b"secret", payload, hashlib.sha256).hexdigest()
        texts = {name: str(value) for name, value in values.items()} | {"signature": signature}
        return self._gate.handle(self.endpoints[name], Request("here", texts, payload, KEY.api_key))


@pytest.fixture
def gate(tmp_path):
    return GateBench(VenueBench(tmp_path))


@pytest.mark.parametrize(
    ("name", "parameters", "weight"),
    [
        ("GET account", {}, 20),
        ("GET account/commission", BTC, 20),
        ("GET rateLimit/order", {}, 40),
        ("GET myTrades", BTC, 20),
        ("GET myTrades", BTC | {"orderId": 1}, 5),
        ("GET openOrders", BTC, 6),
        ("GET openOrders", {}, 80),
        ("GET allOrders", BTC, 20),
        ("GET order", BTC | {"orderId": 1}, 4),
        ("GET orderList", {"orderListId": 1}, 4),
        ("GET openOrderList", {}, 6),
        ("GET allOrderList", {}, 20),
        ("POST order/test", ORDER, 1),
        ("POST order/test", ORDER | {"computeCommissionRates": "true"}, 20),
        ("GET /sapi/v1/capital/config/getall", {}, 10),
        ("GET /sapi/v1/asset/tradeFee", {}, 1),
    ],
)
def test_signed_requests_weigh_what_the_documents_say_answered_or_not(gate, name, parameters, weight):
    assert gate.ask(name, parameters).used_weight == weight


def test_an_order_and_a_cancel_cost_weight_only_when_they_are_refused(gate):
    placed = gate.ask("POST order", ORDER)
    assert (placed.status, placed.used_weight) == (200, 0)
    named = BTC | {"orderId": placed.body["orderId"]}
    assert gate.ask("DELETE order", named).used_weight == 0
    assert gate.ask("DELETE order", named).used_weight == 1
    assert gate.ask("POST order", ORDER | {"side": "HOLD"}).used_weight == 2


@pytest.mark.parametrize(
    ("age_ms", "window", "code"),
    [
        (5_000, {}, None),
        (5_001, {}, -1021),
        (-999, {}, None),
        (-1_000, {}, -1021),
        (60_000, {"recvWindow": 60_000}, None),
        (100, {"recvWindow": "100.5"}, None),
        (101, {"recvWindow": "100.5"}, -1021),
        (0, {"recvWindow": 60_001}, -1131),
    ],
)
def test_a_request_is_taken_exactly_as_long_as_its_window(gate, age_ms, window, code):
    answer = gate.ask("GET account", {"timestamp": gate.bench.venue.now_ms - age_ms} | window)

    assert answer.body.get("code") == code


def test_a_timestamp_may_be_in_microseconds(gate):
    assert gate.ask("GET account", {"timestamp": gate.bench.venue.now_ms * 1_000}).status == 200
