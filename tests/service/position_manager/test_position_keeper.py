"""Handlers of fills and orders: each fill once, protection where it really stands, locked quote currency."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import BalancesAdjusted, PositionChanged
from libs.common.contracts.vocabulary import OrderStatus, Role, Side
from libs.common.errors import InvalidMessageError
from services.position_manager.service import Accounts, PositionKeeper
from tests.service.position_manager.world import (
    ENTRY,
    INSTRUMENTS,
    NOON,
    OPENED_AT,
    FakeExchange,
    FakeLedger,
    a_fill,
    an_order,
    enveloped,
    opened,
)
from tests.support.clock import FakeClock


class Desk:
    """A keeper over a fake ledger with the account `main` opened."""

    def __init__(self, ledger: FakeLedger, accounts: Accounts) -> None:
        self.ledger = ledger
        self.accounts = accounts
        self.keeper = PositionKeeper(accounts=accounts, instruments=INSTRUMENTS)

    async def fill(self, *arguments, **changes) -> list[Event]:
        envelope = enveloped(a_fill(*arguments, **changes))
        return await self.ledger.transaction(lambda ledger: self.keeper.on_fill(envelope, ledger))

    async def order(self, **changes) -> list[Event]:
        envelope = enveloped(an_order(**changes))
        return await self.ledger.transaction(lambda ledger: self.keeper.on_order_updated(envelope, ledger))


@pytest.fixture
async def desk() -> Desk:
    ledger = FakeLedger()
    return Desk(ledger, await opened(ledger))


async def test_a_fill_is_answered_with_the_position(desk):
    [event] = await desk.fill(Side.BUY, "0.1", "50000", fee="0.0001", fee_asset="BTC", stop_loss=Decimal(49_000))

    assert isinstance(event, PositionChanged)
    assert (event.quantity, event.entry_price, event.stop_loss) == (Decimal("0.0999"), Decimal(50_000), Decimal(49_000))
    assert (event.realised_pnl, event.fees) == (Decimal(-5), Decimal(5))  # 0.0001 BTC x 50 000
    assert event.revision == 1


async def test_a_fill_that_comes_twice_changes_nothing(desk):
    await desk.fill(trade_id=5)

    assert await desk.fill(trade_id=5) == []
    assert desk.accounts.books["main"].quote_balance == Decimal(5_000)  # 10 000 - 0.1 x 50 000, once


async def test_two_orders_of_one_trade_are_two_fills(desk):
    await desk.fill(trade_id=5, exchange_order_id="7")

    assert await desk.fill(trade_id=5, exchange_order_id="8")


async def test_memory_follows_only_what_was_committed(desk):
    with pytest.raises(InvalidMessageError, match="oversold"):
        await desk.fill(Side.SELL)

    assert desk.accounts.books["main"].holdings == {}
    assert desk.ledger.bookings == {}


async def test_the_book_in_memory_equals_the_one_loaded_anew(desk):
    await desk.fill(Side.BUY, "0.1", "50000", fee="0.0001", fee_asset="BTC")
    await desk.order(client_order_id="ctE-abcdef-2", quantity=Decimal("0.01"))
    await desk.fill(Side.SELL, "0.05", "51000", fee="2.55", trade_id=2)

    again = await opened(desk.ledger)

    assert again.books == desk.accounts.books


async def test_fills_that_the_opening_balances_contained_move_the_opening(desk):
    await desk.fill(Side.BUY, "0.1", "50000", at=OPENED_AT - timedelta(seconds=1))

    book = desk.accounts.books["main"]
    assert (book.opening_quote, book.quote_balance) == (Decimal(15_000), Decimal(10_000))
    assert desk.ledger.openings["main", "BTC"] == Decimal("-0.05")  # 0.05 found, 0.1 of it the system's
    assert (await opened(desk.ledger)).books == desk.accounts.books


@pytest.mark.parametrize(("change", "reason"), [({"account": "other"}, "account"), ({"symbol": "XRP/USDT"}, "symbol")])
async def test_fills_of_unknown_accounts_and_symbols_are_poison(desk, change, reason):
    with pytest.raises(InvalidMessageError, match=f"unknown {reason}"):
        await desk.fill(**change)


async def test_a_working_buy_order_locks_what_is_not_filled_yet(desk):
    await desk.order(filled_quantity=Decimal("0.04"))

    assert desk.accounts.books["main"].locked == {"ctE-abcdef-1": Decimal(3_000)}  # 0.06 x 50 000


@pytest.mark.parametrize("status", [OrderStatus.UNKNOWN, OrderStatus.QUARANTINED, OrderStatus.SUBMITTED])
async def test_an_order_of_unknown_outcome_locks_too(desk, status):
    await desk.order(status=status)

    assert desk.accounts.books["main"].locked


async def test_an_ended_order_locks_nothing_and_an_older_revision_does_not_revive_it(desk):
    await desk.order(revision=1)
    await desk.order(revision=3, status=OrderStatus.FILLED, filled_quantity=Decimal("0.1"))
    await desk.order(revision=2)

    assert desk.accounts.books["main"].locked == {}


async def test_a_market_order_without_a_price_locks_nothing(desk):
    await desk.order(price=None)

    assert desk.accounts.books["main"].locked == {}


def protection(**changes) -> dict[str, Any]:
    return {"side": Side.SELL, "role": Role.PROTECTION, "parent_intent_id": ENTRY, "client_order_id": "ctP"} | changes


async def test_accepted_protection_tells_where_it_really_stands(desk):
    await desk.fill(stop_loss=Decimal("49000.004"), take_profit=Decimal("52000.004"))

    [stop] = await desk.order(**protection(order_type="STOP_LOSS", stop_price=Decimal(49_000), price=None))
    [take] = await desk.order(**protection(order_type="LIMIT_MAKER", price=Decimal(52_000)))

    assert (take.stop_loss, take.take_profit) == (Decimal(49_000), Decimal(52_000))
    assert (stop.revision, take.revision) == (2, 3)
    assert desk.accounts.books["main"].holdings["BTC/USDT"].revision == 3


async def test_protection_that_stands_as_planned_is_no_news(desk):
    await desk.fill(stop_loss=Decimal(49_000))

    assert await desk.order(**protection(stop_price=Decimal(49_000))) == []


@pytest.mark.parametrize(
    "change",
    [{"parent_intent_id": uuid.UUID(int=99)}, {"status": OrderStatus.CANCELED}, {"role": Role.EXIT}],
    ids=["of an earlier round trip", "that ended", "that is an exit"],
)
async def test_an_order_that_does_not_protect_this_position_is_passed_over(desk, change):
    await desk.fill(stop_loss=Decimal(49_000))

    assert await desk.order(**protection(stop_price=Decimal(48_000)) | change) == []


async def test_protection_of_a_closed_position_is_passed_over(desk):
    await desk.fill()
    await desk.fill(Side.SELL, trade_id=2)

    assert await desk.order(**protection(stop_price=Decimal(48_000), parent_intent_id=None)) == []


async def test_closing_says_flat(desk):
    await desk.fill()

    [event] = await desk.fill(Side.SELL, "0.1", "51000", trade_id=2)

    assert (event.quantity, event.entry_price, event.opened_at, event.stop_loss) == (Decimal(0), None, None, None)
    assert (event.realised_pnl, event.round_trips) == (Decimal(100), 1)


async def moved(desk: Desk, at: datetime, reference: str = "deposit") -> list[Event]:
    adjusted = BalancesAdjusted(
        occurred_at=at,
        account="main",
        kind="TRANSFER",
        reference=reference,
        changes={"USDT": Decimal("-2500.5"), "BTC": Decimal("0.1")},
    )
    return await desk.ledger.transaction(lambda ledger: desk.keeper.on_balances_adjusted(enveloped(adjusted), ledger))


async def test_a_transfer_moves_balances_and_neither_positions_nor_equity(desk):
    book = desk.accounts.books["main"]
    before = book.value({})
    quote = book.quote_balance

    assert await moved(desk, OPENED_AT + timedelta(seconds=1)) == []
    assert await moved(desk, OPENED_AT + timedelta(seconds=1)) == []  # redelivered

    after = book.value({})
    assert after.equity == before.equity
    assert book.quote_balance == quote - Decimal("2500.5") == desk.ledger.balances["main", "USDT"]
    assert after.quote_free == before.quote_free - Decimal("2500.5")
    assert not desk.ledger.positions


async def test_a_transfer_that_the_opening_balances_contained_is_taken_off_the_opening(desk):
    book = desk.accounts.books["main"]
    opening, balance = book.opening_quote, book.quote_balance

    await moved(desk, OPENED_AT)

    assert (book.opening_quote, book.quote_balance) == (opening + Decimal("2500.5"), balance)
    assert desk.ledger.openings["main", "USDT"] == book.opening_quote


async def test_a_trade_between_two_accounts_of_ours_is_booked_in_both():
    ledger, accounts = FakeLedger(), Accounts()
    await accounts.recover(("main", "second"), apply=ledger.apply, exchange=FakeExchange(), clock=FakeClock(NOON))
    desk = Desk(ledger, accounts)
    await desk.fill(trade_id=4, exchange_order_id="6", account="second")

    assert await desk.fill(trade_id=5, exchange_order_id="7")
    assert await desk.fill(Side.SELL, trade_id=5, exchange_order_id="8", account="second")

    held = {name: book.holdings["BTC/USDT"].position.quantity for name, book in accounts.books.items()}
    assert held == {"main": Decimal("0.1"), "second": Decimal(0)}
