"""The executor's records, whether in tables or in memory: what its handlers are tested on is what they run on."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from libs.exchange.orders.port import Balance, TradeReport
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.trade_executor.adapters.postgres import PostgresRecords
from services.trade_executor.domain.orders import Authority, ExecutorOrder, Occupancy, Origin
from services.trade_executor.service.ports import Records
from tests.support.executor_records import FakeTransactions, Tables
from tests.support.migrated import MigratedDatabase

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
BTC, ETH = "BTC/USDT", "ETH/USDT"

Transact = Callable[[Callable[[Records], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture(params=["memory", "postgres"])
async def transact(request: pytest.FixtureRequest, migrated: MigratedDatabase) -> AsyncIterator[Transact]:
    """Return what runs work in a transaction of its own and returns its result."""
    if request.param == "memory":
        transactions = FakeTransactions(Tables(), epoch=1)

        async def in_memory(work: Callable[[Records], Awaitable[Any]]) -> Any:
            results: list[Any] = []

            async def run(records: Records) -> list[Any]:
                results.append(await work(records))
                return []

            await transactions.apply(run)
            return results[0]

        yield in_memory
        return
    database = await migrated.connect("trade_executor")

    async def in_postgres(work: Callable[[Records], Awaitable[Any]]) -> Any:
        async with database.transaction() as connection:
            return await work(PostgresRecords(connection))

    yield in_postgres
    await database.close()


def an_entry(number: int = 1, **changes: Any) -> ExecutorOrder:
    """An entry that was sent, with every field that an entry has."""
    intent_id = uuid.UUID(int=number)
    fields: dict[str, Any] = {
        "intent_id": intent_id,
        "chain_id": intent_id,
        "account": "main",
        "symbol": BTC,
        "side": Side.BUY,
        "role": Role.ENTRY,
        "approved": True,
        "strategy": "ema_cross",
        "signal_id": f"signal-{number}",
        "client_order_id": f"ctE-test00-{number}",
        "order_type": OrderType.LIMIT,
        "time_in_force": "IOC",
        "quantity": Decimal("0.01"),
        "price": Decimal("50050.00"),
        "stop_loss": Decimal(49_500),
        "take_profit": Decimal(51_000),
        "trailing_distance": Decimal("600.5"),
        "authority": Authority(
            halt_epoch=2,
            risk_epoch=3,
            configuration_version=4,
            configuration_hash="hash",
            epoch=5,
            expires_at=NOW + timedelta(seconds=2),
        ),
        "origin": Origin(
            event_id=uuid.UUID(int=100), correlation_id=uuid.UUID(int=101), traceparent="00-1-2-01", origin_at=NOW
        ),
        "created_at": NOW + timedelta(seconds=number),
        "updated_at": NOW + timedelta(seconds=number),
        "signed_at_ms": 1_767_614_400_000 + number,
    }
    return ExecutorOrder(**{**fields, **changes})


def a_sell(entry: ExecutorOrder, number: int, **changes: Any) -> ExecutorOrder:
    """A child of an entry."""
    fields: dict[str, Any] = {
        "intent_id": uuid.UUID(int=number),
        "client_order_id": f"ctP-test00-{number}",
        "side": Side.SELL,
        "role": Role.PROTECTION,
        "approved": False,
        "order_type": OrderType.STOP_LOSS,
        "time_in_force": None,
        "price": None,
        "stop_price": Decimal(49_500),
        "stop_loss": None,
        "take_profit": None,
        "trailing_distance": None,
        "list_client_order_id": "ctO-test00-1",
        "status": OrderStatus.PREPARED,
        "created_at": NOW + timedelta(seconds=number),
        "updated_at": NOW + timedelta(seconds=number),
    }
    return replace(entry, **{**fields, **changes})


def a_trade(trade_id: int = 1, **changes: Any) -> TradeReport:
    """0.01 BTC bought at 50 000, with a fee of 0.1 % in BTC."""
    fields: dict[str, Any] = {
        "symbol": BTC,
        "trade_id": trade_id,
        "exchange_order_id": "7",
        "client_order_id": None,
        "side": Side.BUY,
        "quantity": Decimal("0.01"),
        "price": Decimal(50_000),
        "commission": Decimal("0.00001"),
        "commission_asset": "BTC",
        "maker": False,
        "at_ms": 1_767_614_400_000 + trade_id,
    }
    return TradeReport(**{**fields, **changes})


async def insert(transact: Transact, *orders: ExecutorOrder) -> None:
    for order in orders:
        await transact(partial(_insert, order))


async def _insert(order: ExecutorOrder, records: Records) -> None:
    await records.insert(order)


async def _chain(entry: ExecutorOrder, records: Records) -> Any:
    return await records.chain(entry.chain_id, base="BTC")


async def fill(transact: Transact, order: ExecutorOrder, trade: TradeReport) -> bool:
    base, quote = order.symbol.split("/")
    recorded = await transact(lambda records: records.add_fill(order, trade, base=base, quote=quote))
    assert isinstance(recorded, bool)
    return recorded


async def close(transact: Transact, order: ExecutorOrder, leftover: str = "0") -> None:
    await transact(lambda records: records.set_chain_open(order.chain_id, is_open=False, leftover=Decimal(leftover)))


async def test_an_order_is_found_as_it_was_recorded_under_each_of_its_names(transact: Transact):
    order = an_entry(exchange_order_id="7")
    await insert(transact, order, an_entry(2, symbol=ETH, exchange_order_id="7"), an_entry(3, account="other"))

    assert await transact(lambda records: records.order(order.intent_id)) == order
    assert await transact(lambda records: records.order_by_client_id("main", order.client_order_id)) == order
    assert await transact(lambda records: records.order_by_exchange_id("main", BTC, "7")) == order


async def test_what_is_not_there_is_none(transact: Transact):
    await insert(transact, an_entry(exchange_order_id="7"))

    assert await transact(lambda records: records.order(uuid.UUID(int=9))) is None
    assert await transact(lambda records: records.order_by_client_id("other", "ctE-test00-1")) is None
    assert await transact(lambda records: records.order_by_exchange_id("other", BTC, "7")) is None
    assert await transact(lambda records: records.order_by_exchange_id("main", ETH, "7")) is None
    assert await transact(lambda records: records.chain(uuid.UUID(int=9), base="BTC")) is None
    assert await transact(lambda records: records.dusty_chain("main", BTC)) is None
    assert await transact(lambda records: records.trade_cursor("main", BTC)) is None
    assert await transact(lambda records: records.ledger("main")) == {}


async def test_a_chains_stop_is_moved_up_and_never_down(transact: Transact):
    entry = an_entry()
    await insert(transact, entry, an_entry(2))

    async def move(stop: str, chain_id: uuid.UUID = entry.chain_id) -> object:
        return await transact(lambda records: records.move_stop(chain_id, Decimal(stop)))

    assert (await transact(lambda records: records.chain(entry.chain_id, base="BTC"))).moved_stop is None
    assert [await move(stop) for stop in ("49600.5", "49600.5", "49600", "49700")] == [True, False, False, True]
    assert await move("49600", uuid.UUID(int=9)) is False  # no chain of ours
    await close(transact, entry)
    assert await move("49800") is False  # nothing follows from it

    assert (await transact(lambda records: records.chain(entry.chain_id, base="BTC"))).moved_stop == 49_800
    assert (await transact(lambda records: records.chain(uuid.UUID(int=2), base="BTC"))).moved_stop is None


async def test_an_intent_is_recorded_once(transact: Transact):
    await insert(transact, an_entry())

    with pytest.raises(Exception):  # noqa: B017, PT011 - each store in its own words: it is a bug
        await insert(transact, an_entry())


async def test_an_update_replaces_what_became_of_an_order(transact: Transact):
    order = an_entry()
    await insert(transact, order)
    filled = order.changed(
        NOW + timedelta(seconds=9),
        status=OrderStatus.PARTIALLY_FILLED,
        filled_quantity=Decimal("0.004"),
        filled_amount=Decimal(200),
        execution_id=12,
        exchange_order_id="7",
        order_list_id="3",
        reason="why",
        final=True,
        quarantined_at=NOW,
        released_at=NOW,
    )

    await transact(lambda records: records.update(filled))

    assert await transact(lambda records: records.order(order.intent_id)) == filled


async def test_the_request_of_an_exit_is_fixed_when_its_turn_comes(transact: Transact):
    entry = an_entry(status=OrderStatus.FILLED)
    waiting = a_sell(entry, 2, role=Role.EXIT, approved=True, signed_at_ms=None, stop_price=None)
    await insert(transact, entry, waiting)
    requested = waiting.changed(
        NOW, quantity=Decimal("0.00999"), order_type=OrderType.MARKET, signed_at_ms=1_767_614_409_000
    )
    requested = replace(requested, authority=replace(requested.authority, epoch=6))

    await transact(lambda records: records.update(requested))

    assert await transact(lambda records: records.order(waiting.intent_id)) == requested


async def test_a_restored_order_replaces_what_is_known_with_the_request_that_was_sent(transact: Transact):
    entry = an_entry(status=OrderStatus.FILLED)
    waiting = a_sell(entry, 2, role=Role.EXIT, approved=True, signed_at_ms=None, stop_price=None)
    forgotten = a_sell(entry, 3, status=OrderStatus.ACCEPTED)
    await insert(transact, entry, waiting)
    requested = waiting.changed(
        NOW,
        status=OrderStatus.SUBMITTED,
        quantity=waiting.quantity * 2,
        order_type=OrderType.MARKET,
        signed_at_ms=1_767_614_409_000,
    )

    for order in (requested, forgotten):
        await transact(partial(_restore, order))

    assert await transact(lambda records: records.order(waiting.intent_id)) == requested
    assert await transact(lambda records: records.order(forgotten.intent_id)) == forgotten
    assert await transact(lambda records: records.unresolved("main")) == [requested]


async def _restore(order: ExecutorOrder, records: Records) -> None:
    await records.restore(order)


async def test_that_a_request_was_answered_changes_nothing_else(transact: Transact):
    order = an_entry()
    await insert(transact, order)

    await transact(lambda records: records.set_answered([order.intent_id], requested_at=NOW))

    assert await transact(lambda records: records.order(order.intent_id)) == order


async def test_a_chain_is_its_entry_then_its_sells_by_age_with_their_executions(transact: Transact):
    entry, other = an_entry(5), an_entry(6, symbol=ETH)
    younger, older = a_sell(entry, 8), a_sell(entry, 7)
    twin = a_sell(entry, 9, created_at=older.created_at, client_order_id="ctP-test00-0")
    await insert(transact, entry, other, younger, older, twin)
    bought, sold = a_trade(1), a_trade(2, side=Side.SELL, exchange_order_id="8", commission_asset="USDT")
    await fill(transact, entry, bought)
    await fill(transact, other, a_trade(3, symbol=ETH, exchange_order_id="9"))
    await fill(transact, younger, sold)

    chain = await transact(lambda records: records.chain(entry.chain_id, base="BTC"))

    assert chain.orders == [entry, twin, older, younger]
    assert [(found.intent_id, found.trade) for found in chain.fills] == [
        (entry.intent_id, bought),
        (younger.intent_id, sold),
    ]
    assert (chain.base, chain.carried) == ("BTC", 0)


async def test_entries_open_their_chains_oldest_first_and_refused_ones_do_not(transact: Transact):
    first, second = an_entry(1), an_entry(2, symbol=ETH)
    await insert(transact, second, first, an_entry(3, account="other"), an_entry(4, status=OrderStatus.ABANDONED))
    await insert(transact, a_sell(first, 5))

    assert await transact(lambda records: records.open_chains("main")) == [first.chain_id, second.chain_id]
    assert await transact(lambda records: records.open_chains("main", ETH)) == [second.chain_id]
    await close(transact, first)
    assert await transact(lambda records: records.open_chains("main")) == [second.chain_id]
    await transact(lambda records: records.set_chain_open(first.chain_id, is_open=True))
    assert await transact(lambda records: records.open_chains("main")) == [first.chain_id, second.chain_id]


async def test_dust_is_what_the_youngest_closed_chain_of_the_symbol_left(transact: Transact):
    entries = [an_entry(1), an_entry(2), an_entry(3), an_entry(4, symbol=ETH), an_entry(5, account="other")]
    await insert(transact, *reversed(entries), an_entry(6))
    for entry, leftover in zip(entries, ("0.1", "0.2", "-0.3", "0.4", "0.5"), strict=True):
        await close(transact, entry, leftover)

    assert await transact(lambda records: records.dusty_chain("main", BTC)) == entries[1].chain_id
    await transact(lambda records: records.set_chain_open(entries[1].chain_id, is_open=True))
    assert await transact(lambda records: records.dusty_chain("main", BTC)) == entries[0].chain_id


async def test_dust_is_taken_over_once_from_every_closed_chain_of_the_symbol(transact: Transact):
    taker, *closed = [an_entry(number) for number in range(1, 4)]
    elsewhere = [an_entry(4, symbol=ETH), an_entry(5, account="other")]
    await insert(transact, taker, *closed, *elsewhere)
    await fill(transact, taker, a_trade(commission=Decimal(0)))
    for entry, leftover in zip([*closed, *elsewhere], ("0.0003", "-0.0001", "0.1", "0.1"), strict=True):
        await close(transact, entry, leftover)

    for _ in range(2):
        await transact(lambda records: records.take_over_dust(taker.chain_id))

    chain = await transact(lambda records: records.chain(taker.chain_id, base="BTC"))
    assert (chain.carried, chain.held) == (Decimal("0.0002"), Decimal("0.0102"))
    givers = [await transact(partial(_chain, entry)) for entry in closed]
    assert [giver.carried for giver in givers] == [Decimal("-0.0003"), Decimal("0.0001")]
    assert await transact(lambda records: records.dusty_chain("main", BTC)) is None
    assert await transact(lambda records: records.dusty_chain("main", ETH)) == elsewhere[0].chain_id


async def test_an_order_is_unresolved_working_or_watched_as_the_domain_says(transact: Transact):
    quarantined = {"status": OrderStatus.QUARANTINED, "quarantined_at": NOW}
    states: list[dict[str, Any]] = [
        {"status": OrderStatus.PREPARED, "signed_at_ms": None},
        *({"status": status} for status in OrderStatus if status is not OrderStatus.QUARANTINED),
        quarantined,
        {**quarantined, "released_at": NOW},
    ]
    orders = [an_entry(number, **state) for number, state in enumerate(states, start=1)]
    await insert(transact, *orders, *(an_entry(50 + n, account="other", **state) for n, state in enumerate(states)))

    unresolved = await transact(lambda records: records.unresolved("main"))
    working = await transact(lambda records: records.working("main"))
    watched = await transact(lambda records: records.watched("main"))

    assert unresolved == [order for order in orders if order.is_unresolved]
    assert working == [order for order in orders if order.is_working]
    assert watched == [orders[-1]]


async def test_what_stands_in_the_way_of_an_approval_is_counted_for_its_account_and_symbol(transact: Transact):
    unknown = an_entry(1, status=OrderStatus.UNKNOWN)
    held = an_entry(2, symbol=ETH, status=OrderStatus.FILLED)
    await insert(transact, unknown, held, a_sell(held, 3, status=OrderStatus.ACCEPTED))
    await transact(lambda records: records.set_chain_open(held.chain_id, is_open=True))
    new = uuid.UUID(int=9)

    async def occupancy(account: str, symbol: str, intent_id: uuid.UUID) -> Occupancy:
        found = await transact(lambda records: records.occupancy(account, symbol, intent_id=intent_id))
        assert isinstance(found, Occupancy)
        return found

    nothing = Occupancy(is_recorded=False, has_unresolved=False, has_open_chain=False)
    assert await occupancy("main", BTC, new) == replace(nothing, has_unresolved=True, has_open_chain=True)
    assert await occupancy("main", ETH, new) == replace(nothing, has_open_chain=True)
    assert await occupancy("other", BTC, new) == nothing
    assert (await occupancy("other", BTC, unknown.intent_id)).is_recorded


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"BTC": "0.00999", "USDT": "-500"}),  # 0.01 - 0.1 % fee; 0.01 x 50 000
        ({"commission": Decimal("0.5"), "commission_asset": "USDT"}, {"BTC": "0.01", "USDT": "-500.5"}),
        ({"commission": Decimal("0.001"), "commission_asset": "BNB"}, {"BTC": "0.01", "USDT": "-500", "BNB": "-0.001"}),
        (
            {"side": Side.SELL, "commission": Decimal("0.5"), "commission_asset": "USDT"},
            {"BTC": "-0.01", "USDT": "499.5"},
        ),
    ],
)
async def test_an_execution_is_booked_once_with_its_fee(
    transact: Transact, changes: dict[str, Any], expected: dict[str, str]
):
    order = an_entry()
    await insert(transact, order)

    recorded = [await fill(transact, order, a_trade(**changes)) for _ in range(2)]

    assert recorded == [True, False]
    ledger = await transact(lambda records: records.ledger("main"))
    assert ledger == {asset: Decimal(amount) for asset, amount in expected.items()}


async def test_both_sides_of_a_trade_with_oneself_and_other_accounts_are_executions_of_their_own(transact: Transact):
    order, other = an_entry(), an_entry(2, account="other")
    await insert(transact, order, other)
    trade = a_trade(commission=Decimal(0))

    assert await fill(transact, order, trade)
    assert await fill(transact, order, replace(trade, exchange_order_id="8"))
    assert await fill(transact, other, trade)

    assert (await transact(lambda records: records.ledger("main")))["BTC"] == Decimal("0.02")
    assert (await transact(lambda records: records.ledger("other")))["BTC"] == Decimal("0.01")


async def test_the_books_open_with_what_an_account_holds(transact: Transact):
    balances = {
        "BTC": Balance(free=Decimal("0.03"), locked=Decimal("0.02")),
        "USDT": Balance(free=Decimal(10), locked=Decimal(0)),
    }
    await transact(lambda records: records.open_ledger("main", balances))
    order = an_entry()
    await insert(transact, order)
    await fill(transact, order, a_trade())

    assert await transact(lambda records: records.ledger("main")) == {
        "BTC": Decimal("0.05999"),  # 0.03 + 0.02 + 0.01 - 0.00001
        "USDT": Decimal(-490),
    }
    assert await transact(lambda records: records.ledger("other")) == {}


async def test_the_cursor_is_the_accounts_and_symbols_own(transact: Transact):
    await transact(lambda records: records.set_trade_cursor("main", BTC, 5))
    await transact(lambda records: records.set_trade_cursor("main", BTC, 8))

    assert await transact(lambda records: records.trade_cursor("main", BTC)) == 8
    assert await transact(lambda records: records.trade_cursor("main", ETH)) is None
    assert await transact(lambda records: records.trade_cursor("other", BTC)) is None
