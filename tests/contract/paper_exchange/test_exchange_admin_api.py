"""The admin API: only with its key, only on its port, and with a clear answer to whatever cannot be understood."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest

from services.paper_exchange.faults.faults import ARMED_MAX
from services.paper_exchange.faults.menu import Fault
from tests.contract.paper_exchange.faulty_exchange import KEY, FaultyExchange, faulty_exchange
from tests.contract.paper_exchange.paper_exchange_process import PaperExchangeProcess, running_exchange

LATE = {"kind": "request_late", "on": {"method": "POST"}, "count": 2}
REQUESTS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/menu", None),
    ("GET", "/faults", None),
    ("POST", "/faults", LATE),
    ("DELETE", "/faults", None),
    ("DELETE", "/faults/1", None),
    ("GET", "/strikes", None),
    ("PUT", "/seed", {"seed": 1}),
    ("POST", "/orders", {"order": {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}}),
    ("DELETE", "/orders", {"symbol": "BTCUSDT"}),
    ("POST", "/transfers", {"asset": "USDT", "amount": "100"}),
    ("PUT", "/symbols/BTCUSDT", {"status": "BREAK"}),
)


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[FaultyExchange]:
    async with faulty_exchange(tmp_path) as faulty:
        yield faulty


def state(faulty: FaultyExchange) -> Any:
    venue = faulty.local.exchange.venue
    money = {asset: (each.free, each.locked) for asset, each in venue.ledger.balances("main").items()}
    return money, len(venue.desk.orders()), venue.listing.records(), faulty.layer.faults.armed()


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=lambda value: str(value)[:20])
async def test_without_the_key_nothing_is_done_and_nothing_told(exchange: FaultyExchange, method, path, body):
    before = state(exchange)

    for key in ("", "wrong", KEY[:-1], f"{KEY}x", "ключ"):
        status, answer = await exchange.tell(method, path, body, key=key)
        assert (status, answer["error"]["expected"]) == (401, "the admin key as `Authorization: Bearer KEY`")

    assert state(exchange) == before


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=lambda value: str(value)[:20])
async def test_nothing_of_it_is_on_the_port_of_the_clients(exchange: FaultyExchange, method, path, body):
    before = state(exchange)

    headers = {"Authorization": f"Bearer {KEY}"}
    async with exchange.local.http.request(method, exchange.local.rest + path, json=body, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")

    assert state(exchange) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "where", "expected"),
    [
        ("POST", "/faults", {"kind": "imagined"}, "", "does not match any of the expected tags"),
        ("POST", "/faults", {}, "", "Unable to extract tag"),
        ("POST", "/faults", LATE | {"probability": 0}, "request_late.probability", "greater than 0"),
        ("POST", "/faults", LATE | {"probability": 1.1}, "request_late.probability", "less than or equal to 1"),
        ("POST", "/faults", LATE | {"count": 0}, "request_late.count", "greater than or equal to 1"),
        ("POST", "/faults", LATE | {"for_s": -1}, "request_late.for_s", "greater than 0"),
        ("POST", "/faults", LATE | {"on": {"colour": "red"}}, "request_late.on.colour", "not permitted"),
        ("POST", "/faults", LATE | {"on": {"side": "buy"}}, "request_late.on.side", "'BUY' or 'SELL'"),
        ("POST", "/faults", LATE | {"share": "0.5"}, "request_late.share", "not permitted"),
        ("POST", "/faults", LATE | {"delay_ms_min": 9, "delay_ms_max": 1}, "request_late", "at most 1, found 9"),
        ("POST", "/faults", {"kind": "reply_failed", "status": 400, "code": -2010}, "reply_failed", ""),
        ("POST", "/faults", {"kind": "reply_failed", "status": 503, "code": -2010}, "reply_failed.code", "-1000"),
        ("POST", "/faults", {"kind": "reply_failed", "status": 408, "code": -1000}, "reply_failed", "-1007"),
        ("POST", "/faults", {"kind": "request_failed", "message": "Duplicate order sent."}, "request_failed", "text"),
        ("POST", "/orders", {"account": "nobody", "order": {}}, "account", "one of main, visitor"),
        ("POST", "/transfers", {"asset": "usdt", "amount": "1"}, "asset", "match pattern"),
        ("POST", "/transfers", {"asset": "USDT", "amount": "NaN"}, "amount", "finite"),
        ("POST", "/transfers", {"asset": "USDT", "amount": "0.000000001"}, "amount", "8 decimal places"),
        ("PUT", "/symbols/BTCUSDT", {"status": "SLEEPING"}, "status", "'TRADING'"),
        ("PUT", "/symbols/BTCUSDT", {"limits": {"tickSize": "1"}}, "", "limits of maxPrice"),
        ("PUT", "/symbols/BTCUSDT", {"limits": {"minNotional": "-1"}}, "limits.minNotional", "greater than"),
        ("PUT", "/seed", {"seed": "x"}, "seed", "integer"),
    ],
)
async def test_what_cannot_be_understood_is_named_and_changes_nothing(
    exchange: FaultyExchange, *, method, path, body, where, expected
):
    before = state(exchange)

    status, answer = await exchange.tell(method, path, body)

    assert status == 400
    assert answer["error"].get("where", "").startswith(where)
    assert expected in answer["error"]["expected"]
    assert state(exchange) == before


async def test_what_is_no_json_is_named(exchange: FaultyExchange):
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{exchange.admin}/faults"
    async with exchange.local.http.post(url, data=b"{", headers=headers) as answer:
        assert (answer.status, "JSON" in (await answer.json())["error"]["expected"]) == (400, True)
    async with exchange.local.http.post(url, data=b" " * 100_000, headers=headers) as answer:
        assert answer.status == 413


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("PATCH", "/faults", 405), ("DELETE", "/faults/x", 404)]
)
async def test_what_is_not_there_is_said_in_its_own_words(exchange: FaultyExchange, method, path, status):
    found, answer = await exchange.tell(method, path)

    assert found == status
    assert path in answer["error"]["found"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "found"),
    [
        ("POST", "/orders", {"order": {"symbol": "BTCUSDT"}}, 409, "-1102"),
        ("POST", "/orders", {"order": {"symbol": "DOGEUSDT", "side": "BUY", "type": "MARKET"}}, 409, "-1121"),
        ("DELETE", "/orders", {"symbol": "BTCUSDT"}, 409, "-2011"),
        ("POST", "/transfers", {"asset": "USDT", "amount": "-1000000"}, 409, "-2010"),
        ("PUT", "/symbols/DOGEUSDT", {"status": "BREAK"}, 404, "DOGEUSDT"),
    ],
)
async def test_what_the_exchange_would_refuse_is_refused_here(
    exchange: FaultyExchange, *, method, path, body, status, found
):
    assert (await exchange.tell(method, path, body))[0] == status
    assert found in (await exchange.tell(method, path, body))[1]["error"]["found"]


async def test_the_menu_names_every_kind(exchange: FaultyExchange):
    _, menu = await exchange.tell("GET", "/menu")

    union = get_args(get_args(Fault)[0])
    kinds = {kind for fault in union for kind in get_args(fault.model_fields["kind"].annotation)}
    assert set(menu["discriminator"]["mapping"]) == kinds
    page = (Path(__file__).parents[3] / "docs" / "paper_exchange.md").read_text(encoding="utf-8")
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in page] == []


async def test_an_armed_fault_is_listed_until_it_is_over(exchange: FaultyExchange):
    assert await exchange.tell("POST", "/faults", LATE | {"delay_ms_max": 1}) == (201, {"fault": 1})
    assert await exchange.tell("POST", "/faults", {"kind": "reply_cut", "for_s": 0.001}) == (201, {"fault": 2})
    assert (await exchange.tell("POST", "/faults", {"kind": "reply_cut", "for_s": 60}))[1] == {"fault": 3}

    for _ in range(3):
        await exchange.local.ask_signed("POST", "/api/v3/order/test", symbol="BTCUSDT")
    listed = (await exchange.tell("GET", "/faults"))[1]["faults"]

    assert [(each["fault"], each["strikes"]) for each in listed] == [(3, 0)]
    assert (await exchange.tell("GET", "/strikes"))[1]["strikes"] == exchange.strikes
    assert [each["fault"] for each in exchange.strikes] == [1, 1]
    assert await exchange.tell("DELETE", "/faults/3") == (200, {"disarmed": 1})
    assert await exchange.tell("DELETE", "/faults/3") == (200, {"disarmed": 0})
    assert await exchange.tell("DELETE", "/faults") == (200, {"disarmed": 0})


async def test_there_are_never_too_many_faults(exchange: FaultyExchange):
    for _ in range(ARMED_MAX):
        exchange.arm("market_dropped")

    assert (await exchange.tell("POST", "/faults", LATE))[0] == 409
    assert (await exchange.tell("DELETE", "/faults"))[1] == {"disarmed": ARMED_MAX}
    assert (await exchange.tell("POST", "/faults", LATE))[0] == 201


async def test_the_same_seed_strikes_the_same_requests(exchange: FaultyExchange):
    async def outcomes() -> list[int]:
        await exchange.tell("PUT", "/seed", {"seed": 11})
        return [(await exchange.local.ask("GET", "/api/v3/ping"))[0] for _ in range(40)]

    await exchange.tell("POST", "/faults", {"kind": "request_failed", "probability": 0.5})
    first = await outcomes()

    assert set(first) == {200, 500}
    assert await outcomes() == first


async def asked(exchange: PaperExchangeProcess, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    admin = json.loads((exchange.data_dir / "admin.json").read_text())
    headers = {"Authorization": f"Bearer {admin['key']}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, admin["url"] + path, json=body) as answer,
    ):
        return answer.status, await answer.json()


async def test_it_is_off_unless_asked_for_and_its_key_is_private_and_stays(tmp_path: Path):
    told = tmp_path / "admin.json"
    with running_exchange(tmp_path, admin_port="0", fault_seed="3") as exchange:
        key = json.loads(told.read_text())["key"]
        assert told.stat().st_mode & 0o777 == 0o600
        assert json.loads(told.read_text())["url"] not in exchange.endpoints.values()
        assert await asked(exchange, "POST", "/faults", {"kind": "request_failed"}) == (201, {"fault": 1})
        async with aiohttp.ClientSession() as http, http.get(f"{exchange.rest}/api/v3/ping") as answer:
            assert answer.status == 500
        exchange.kill()
        exchange.start()

        assert json.loads(told.read_text())["key"] == key
        assert await asked(exchange, "GET", "/faults") == (200, {"faults": []}), "what is armed ends with the process"
        (journal,) = (tmp_path / "journal").glob("*.jsonl")
        struck = [change for line in journal.read_text().splitlines() for change in json.loads(line)["changes"]]
        assert [(each["kind"], each["path"]) for each in struck if each["type"] == "fault"] == [
            ("request_failed", "/api/v3/ping")
        ]
    with running_exchange(tmp_path):
        assert not told.exists()
