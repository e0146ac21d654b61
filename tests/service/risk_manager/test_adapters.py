# ruff: noqa: ARG002 - fakes have the signatures of what they stand for
import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common.contracts.event import Event
from libs.common.control.operators import OperatorKey, Operators
from libs.common.control.operators_file import OperatorsFile
from libs.common.errors import ConfigurationError, RetryableError
from libs.exchange.limits import AddressBudget, Purpose
from services.risk_manager.adapters.market import ExchangeInstruments, MarketView
from services.risk_manager.domain.claims import Claim, HeldPosition
from services.risk_manager.domain.observed_market import ObservedMarket
from services.risk_manager.service.ports import RiskRecords
from services.risk_manager.service.rebuilding import BookKeeper
from services.risk_manager.settings import Settings
from tests.service.risk_manager.builders import NOW, FakeRecords, a_clock, a_status, enveloped
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

BTC_RULES = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "orderTypes": ["LIMIT"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
        {"filterType": "NOTIONAL", "minNotional": "5.0", "maxNotional": "9000000.0"},
    ],
}


class FakePrices:
    """The one question that is asked of Redis."""

    def __init__(self, answer: str | Exception | None) -> None:
        self._answer = answer

    async def get(self, key: str) -> str | None:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def a_view(answer: str | Exception | None) -> MarketView:
    clock = a_clock()
    observed = ObservedMarket(started_at_s=clock.monotonic_s(), clock_skew_ms_max=lambda: 500)
    return MarketView(observed=observed, client=cast("Redis", FakePrices(answer)), clock=clock)


async def test_the_newest_quote_is_the_market_monitors() -> None:
    written = '{"bid":"50000.01","ask":"50000.02","last":"50000.01","at":"2026-01-05T12:00:00.250000+00:00"}'

    quote = await a_view(written).quote("BTC/USDT")

    assert quote is not None
    assert (quote.bid, quote.ask, quote.at_ms) == (Decimal("50000.01"), Decimal("50000.02"), 1_767_614_400_250)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        RedisError("away"),
        "not json",
        "[]",
        '{"bid":null,"ask":null,"at":"2026-01-05T12:00:00+00:00"}',
        '{"bid":"x","ask":"1","at":"2026-01-05T12:00:00+00:00"}',
        '{"bid":"1"}',
    ],
)
async def test_a_quote_that_nobody_knows_or_can_read_is_none(answer: str | Exception | None) -> None:
    assert await a_view(answer).quote("BTC/USDT") is None


async def test_statuses_become_what_is_known_of_the_market() -> None:
    view = a_view(None)
    assert not view.facts("BTC/USDT").reachable

    await view.on_status(enveloped(a_status()))

    assert view.facts("BTC/USDT").reachable


async def test_rules_are_not_read_while_the_address_is_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.risk_manager.adapters.market.RETRY_S", 0)
    budget = AddressBudget(FakeClock())
    asked = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"code": -1003, "msg": ""}, status=418, headers={"Retry-After": "120"})

    async def is_told() -> bool:
        return budget.wait_s(Purpose.REDUCTION) > 0

    application = web.Application()
    application.router.add_get("/api/v3/exchangeInfo", answer)
    async with TestServer(application) as server:
        instruments = ExchangeInstruments(address=str(server.make_url("/")), symbols=("BTC/USDT",), budget=budget)
        running = asyncio.create_task(instruments.run())
        await eventually(is_told)
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})

    assert asked == 1
    assert budget.wait_s(Purpose.REDUCTION) == 120


async def test_the_exchanges_rules_are_read_again_until_they_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.risk_manager.adapters.market.RETRY_S", 0)
    answers: list[tuple[int, Any]] = [(503, {}), (200, {"symbols": []}), (200, {"symbols": [BTC_RULES]})]
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query["symbols"])
        status, body = answers[min(len(asked), len(answers)) - 1]
        return web.json_response(body, status=status)

    application = web.Application()
    application.router.add_get("/api/v3/exchangeInfo", answer)
    async with TestServer(application) as server:
        instruments = ExchangeInstruments(
            address=str(server.make_url("/")), symbols=("BTC/USDT",), budget=AddressBudget(FakeClock())
        )
        assert not await instruments.known()
        running = asyncio.create_task(instruments.run())
        await eventually(instruments.known)
        running.cancel()
        await asyncio.wait({running})

    rules = instruments.get("BTC/USDT")
    assert rules is not None
    assert rules.notional_min == 5
    assert instruments.get("ETH/USDT") is None
    assert asked == ['["BTCUSDT"]'] * 3


def test_a_revoked_key_is_out_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "operators.json"
    file = OperatorsFile(path)
    assert file.current().by_key_id == {}
    key = OperatorKey.generate()
    operators = Operators({}).with_key(key, issuer="alice")

    operators.save(path)
    assert file.current().find(key.key_id) is not None
    operators.without(key.key_id, at=NOW).save(path)

    assert file.current().find(key.key_id) is None


def test_a_broken_operators_file_leaves_its_last_good_version(tmp_path: Path) -> None:
    path = tmp_path / "operators.json"
    key = OperatorKey.generate()
    Operators({}).with_key(key, issuer="alice").save(path)
    file = OperatorsFile(path)

    path.write_text("{")

    assert file.current().find(key.key_id) is not None
    with pytest.raises(ConfigurationError):
        OperatorsFile(path)


def test_live_trading_is_armed_by_naming_accounts() -> None:
    assert Settings(live_armed=" main, second ,").armed_accounts == {"main", "second"}
    assert Settings().armed_accounts == frozenset()


class FakeRebuildableBook:
    """Remembers what was reconciled; away when told so."""

    def __init__(self) -> None:
        self.reconciled: list[str] = []
        self.is_away = False

    async def reconcile(self, account: str, *, claims: Iterable[Claim], positions: Iterable[HeldPosition]) -> bool:
        if self.is_away:
            raise RetryableError("away")
        self.reconciled.append(account)
        return True


async def test_every_account_is_reconciled_and_an_unreachable_redis_is_tried_again() -> None:
    records, book = FakeRecords(), FakeRebuildableBook()

    async def apply(work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        assert await work(records) == ()

    keeper = BookKeeper(book=book, accounts=("main", "second"), apply=apply)
    book.is_away = True
    await keeper.reconcile()
    book.is_away = False

    await keeper.reconcile()

    assert book.reconciled == ["main", "second"]
