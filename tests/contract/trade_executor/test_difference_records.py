"""Differences, movements and acceptances, whether in tables or in memory."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.control.commands import CommandHistory
from libs.exchange.orders.port import TradeReport
from libs.trading.market import Side
from services.trade_executor.adapters.differences import PostgresDifferences
from services.trade_executor.domain.differences import Difference, Kind
from services.trade_executor.domain.findings import StrayTrade
from services.trade_executor.service.difference_ports import Acceptance, DifferenceRecords, Movement
from tests.support.executor_differences import DifferenceTables, FakeDifferences
from tests.support.migrated import MigratedDatabase

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

Transact = Callable[[Callable[[DifferenceRecords], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture(params=["memory", "postgres"])
async def transact(request: pytest.FixtureRequest, migrated: MigratedDatabase) -> AsyncIterator[Transact]:
    """Return what runs work in a transaction of its own and returns its result."""
    if request.param == "memory":
        tables = DifferenceTables()

        async def in_memory(work: Callable[[DifferenceRecords], Awaitable[Any]]) -> Any:
            return await work(FakeDifferences(tables))

        yield in_memory
        return
    database = await migrated.connect("trade_executor")

    async def in_postgres(work: Callable[[DifferenceRecords], Awaitable[Any]]) -> Any:
        async with database.transaction() as connection:
            return await work(PostgresDifferences(connection))

    yield in_postgres
    await database.close()


def a_gap(asset: str = "BTC", change: str = "1", account: str = "main") -> Difference:
    return Difference(
        account=account,
        kind=Kind.BALANCE,
        subject=asset,
        symbol=None if asset == "USDT" else f"{asset}/USDT",
        expected="0",
        found=change,
        changes={asset: Decimal(change)},
    )


def a_stray(trade_id: int, order_id: str = "7") -> StrayTrade:
    trade = TradeReport(
        symbol="BTC/USDT",
        trade_id=trade_id,
        exchange_order_id=order_id,
        client_order_id=None,
        side=Side.BUY,
        quantity=Decimal("0.002"),
        price=Decimal("50000.5"),
        commission=Decimal("0.000002"),
        commission_asset="BTC",
        maker=False,
        at_ms=1_767_614_400_000,
    )
    return StrayTrade(trade, "by-hand")


def an_acceptance(number: int, **changes: Any) -> Acceptance:
    fields: dict[str, Any] = {
        "command_id": uuid.UUID(int=number),
        "account": "main",
        "difference_id": 3,
        "key_id": "key",
        "sequence": number,
        "issuer": "operator",
        "reason": "a gift",
        "expires_at": NOW + timedelta(seconds=30),
    }
    return Acceptance(**{**fields, **changes})


async def test_a_movement_is_booked_once_and_adds_up_to_the_last_digit(transact: Transact):
    async def book(**changes: Any) -> bool:
        movement = Movement(
            account="main",
            kind="TRANSFER",
            reference="BTC 0.1",
            changes={"BTC": Decimal("0.1"), "USDT": Decimal("-0.000000000000000001")},
            at=NOW,
        )
        booked = await transact(lambda records: records.book(replace(movement, **changes)))
        assert isinstance(booked, bool)
        return booked

    booked = [
        await book(),
        await book(),
        await book(reference="another"),
        await book(kind="DIFFERENCE"),
        await book(account="other"),
    ]

    assert booked == [True, False, True, True, True]
    assert await transact(lambda records: records.ledger("main")) == {
        "BTC": Decimal("0.3"),
        "USDT": Decimal("-0.000000000000000003"),
    }
    assert (await transact(lambda records: records.ledger("other")))["BTC"] == Decimal("0.1")


async def test_a_difference_is_open_until_it_is_settled_and_has_a_new_id_afterwards(transact: Transact):
    async def add(difference: Difference) -> int | None:
        added = await transact(lambda records: records.add_difference(difference, NOW))
        assert added is None or isinstance(added, int)
        return added

    first = await add(a_gap())
    assert first is not None
    assert await add(a_gap(change="2")) is None
    other = await add(a_gap(account="other"))
    await transact(lambda records: records.see_again(first, replace(a_gap(), expected="5", found="6"), NOW))
    (seen,) = await transact(lambda records: records.open_differences("main"))
    await transact(lambda records: records.settle_differences([first], "SUPERSEDED", NOW))
    await transact(lambda records: records.settle_differences([first], "ACCEPTED", NOW, issuer="late"))
    second = await add(a_gap("USDT"))
    third = await add(a_gap())

    assert (seen.expected, seen.found, seen.figure, seen.symbol, seen.since) == ("5", "6", "1", "BTC/USDT", NOW)
    rows = await transact(lambda records: records.open_differences("main"))
    assert [(row.id, row.subject, row.symbol) for row in rows] == [
        (second, "USDT", None),
        (third, "BTC", "BTC/USDT"),
    ]
    assert len({first, other, second, third}) == 4
    assert (await transact(lambda records: records.difference("main", first))).settled_by == "SUPERSEDED"
    assert await transact(lambda records: records.difference("other", first)) is None


async def test_stray_trades_are_kept_once_until_their_order_is_settled(transact: Transact):
    strays = [a_stray(1), a_stray(2), a_stray(3, order_id="8")]
    await transact(lambda records: records.add_stray_trades("main", strays))
    await transact(lambda records: records.add_stray_trades("main", [a_stray(2)]))
    await transact(lambda records: records.add_stray_trades("main", []))
    assert await transact(lambda records: records.stray_trades("main")) == strays

    await transact(lambda records: records.settle_stray_trades("main", "7", uuid.UUID(int=1)))
    await transact(lambda records: records.add_stray_trades("main", [a_stray(1), a_stray(4)]))

    assert await transact(lambda records: records.stray_trades("main")) == [a_stray(3, order_id="8"), a_stray(4)]
    assert await transact(lambda records: records.stray_trades("other")) == []


async def test_acceptances_wait_in_the_order_of_their_issue_until_they_are_decided(transact: Transact):
    await transact(lambda records: records.add_acceptance(an_acceptance(2)))
    await transact(lambda records: records.add_acceptance(an_acceptance(1)))
    await transact(lambda records: records.add_acceptance(an_acceptance(3), "EXPIRED"))
    await transact(lambda records: records.add_acceptance(an_acceptance(4, account="other", key_id="another")))
    waiting = await transact(lambda records: records.waiting_acceptances("main"))

    await transact(lambda records: records.decide_acceptance(uuid.UUID(int=1), "", NOW))

    async def history(number: int, key_id: str) -> CommandHistory:
        found = await transact(lambda records: records.command_history(uuid.UUID(int=number), key_id))
        assert isinstance(found, CommandHistory)
        return found

    assert waiting == [an_acceptance(1), an_acceptance(2)]
    assert await transact(lambda records: records.waiting_acceptances("main")) == [an_acceptance(2)]
    assert await history(3, "key") == CommandHistory(seen=True, sequence_last=3)
    assert await history(9, "another") == CommandHistory(seen=False, sequence_last=4)
    assert await history(9, "unused") == CommandHistory()
