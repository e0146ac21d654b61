"""The ledger's tables hold what the handlers decide, digit for digit."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import BalancesAdjusted, PositionChanged
from libs.common.contracts.vocabulary import OrderStatus, Side
from libs.common.errors import ConfigurationError
from libs.common.storage.postgres import Database
from services.position_manager.adapters import PostgresLedger, open_symbols, trailing_times
from services.position_manager.domain.marks import QuoteBoard
from services.position_manager.service import Accounts, EquityMarker, Ledger, PositionKeeper
from tests.service.position_manager.world import (
    INSTRUMENTS,
    NOON,
    OPENED_AT,
    FakeExchange,
    a_fill,
    an_order,
    enveloped,
)
from tests.support.clock import FakeClock
from tests.support.migrated import MigratedDatabase


class Tables:
    """The tables under the service's own role, with the loop's after-commit rule."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.quote_asset = "USDT"

    async def apply(self, work) -> None:
        await self.transaction(work)

    async def transaction(self, work) -> list[Event]:
        effects: list[Callable[[], None]] = []
        async with self.database.transaction() as connection:
            ledger: Ledger = PostgresLedger(connection, quote_asset=self.quote_asset, after_commit=effects.append)
            events = list(await work(ledger))
        for effect in effects:
            effect()
        return events

    async def rows(self, view: str) -> list[asyncpg.Record]:
        async with self.database.connection() as connection:
            return await connection.fetch(f"SELECT * FROM {view}")


class Service:
    """The handlers over the tables."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.clock = FakeClock(NOON)

    async def start(self) -> "Service":
        exchange = FakeExchange(closes={"BTC/USDT": "52000"})
        self.accounts = Accounts()
        await self.accounts.recover(("main",), apply=self.tables.apply, exchange=exchange, clock=self.clock)
        self.keeper = PositionKeeper(accounts=self.accounts, instruments=INSTRUMENTS)
        self.board = QuoteBoard(jump_rate_max=Decimal("0.03"))
        self.marker = EquityMarker(
            accounts=self.accounts, board=self.board, exchange=exchange, clock=self.clock, exit_after_s=None
        )
        return self

    async def fill(self, *arguments, **changes) -> list[Event]:
        envelope = enveloped(a_fill(*arguments, **changes))
        return await self.tables.transaction(lambda ledger: self.keeper.on_fill(envelope, ledger))

    async def moved(self, at: datetime, reference: str) -> None:
        adjusted = BalancesAdjusted(
            occurred_at=at,
            account="main",
            kind="DIFFERENCE",
            reference=reference,
            changes={"USDT": Decimal("-100.000000000000000001"), "XYZ": Decimal(7)},
            reason="a gift",
            issuer="operator",
        )
        await self.tables.transaction(lambda ledger: self.keeper.on_balances_adjusted(enveloped(adjusted), ledger))

    async def order(self, **changes) -> None:
        envelope = enveloped(an_order(**changes))
        await self.tables.transaction(lambda ledger: self.keeper.on_order_updated(envelope, ledger))

    async def pass_second(self, bid: str) -> list[Event]:
        self.clock.advance(1)
        self.board.observe("BTC/USDT", bid=Decimal(bid), ask=Decimal(bid) + 1, at=self.clock.now())
        await self.marker.prepare_day(self.tables.apply)
        return await self.tables.transaction(self.marker.mark)


@pytest.fixture
async def tables(migrated: MigratedDatabase) -> AsyncIterator[Tables]:
    database = await migrated.connect("position_manager")
    yield Tables(database)
    await database.close()


@pytest.fixture
async def service(tables: Tables) -> Service:
    return await Service(tables).start()


async def test_how_a_stop_trails_is_read_back_as_it_was_written(service: Service, tables: Tables):
    await service.fill(stop_loss=Decimal(49_000), trailing_distance=Decimal("600.00000001"))

    successor = await Service(tables).start()

    known, read = (each.accounts.books["main"].holdings["BTC/USDT"] for each in (service, successor))
    assert read == known
    assert (read.trailing_stop, read.trailing_distance) == (Decimal(49_000), Decimal("600.00000001"))


async def test_what_was_bought_is_read_back_digit_for_digit_and_is_what_the_fills_say(service: Service, tables: Tables):
    await service.fill(Side.BUY, "0.12345", "50000.01", fee="0.00012345", fee_asset="BTC")
    await service.fill(Side.SELL, "0.1", "50100.07", trade_id=2)
    (told,) = await service.fill(Side.BUY, "0.00001", "50000", trade_id=3)

    again = (await Service(tables).start()).accounts.books["main"].holdings["BTC/USDT"]

    assert isinstance(told, PositionChanged)
    assert told.bought == again.bought == Decimal("0.12346")
    fills = await tables.rows("position_fills")
    assert sum(row["quantity"] for row in fills if row["side"] == "BUY") == again.bought


async def test_a_start_finds_since_when_positions_trail_and_equity_was_marked(service: Service, tables: Tables):
    async def times() -> tuple[datetime | None, datetime | None]:
        async with tables.database.connection() as connection:
            return await trailing_times(connection)

    assert await times() == (None, None)
    for _ in range(2):
        await service.pass_second("50000")
    await service.fill(stop_loss=Decimal(49_000), at=NOON - timedelta(minutes=1))
    assert await times() == (None, service.clock.now())
    await service.fill(symbol="ETH/USDT", stop_loss=Decimal(1_000), trailing_distance=Decimal(6))

    assert await times() == (NOON, service.clock.now())


async def test_a_restart_loads_exactly_what_was_in_memory(service):
    await service.pass_second("50000")
    await service.fill(Side.BUY, "0.12345", "50000.01", fee="0.00012345", fee_asset="BTC", stop_loss=Decimal(49_000))
    await service.fill(
        Side.SELL, "0.1", "50100.07", fee="0.01", fee_asset="BNB", commission_rate=Decimal("600.1"), trade_id=2
    )
    await service.order(client_order_id="ctE-2", quantity=Decimal("0.001"))
    for bid in ("50000", "50001", "50002"):
        await service.pass_second(bid)

    again = await Service(service.tables).start()

    assert again.accounts.books == service.accounts.books
    assert again.accounts.histories == service.accounts.histories


async def test_a_fill_is_booked_once(service):
    await service.fill(trade_id=5)

    assert await service.fill(trade_id=5) == []
    assert [row["balance"] for row in await service.tables.rows("balances") if row["asset"] == "USDT"] == [5_000]


async def test_fills_of_before_the_opening_move_the_opening(service):
    await service.fill(at=OPENED_AT)

    balances = {row["asset"]: row for row in await service.tables.rows("balances")}
    assert (balances["USDT"]["opening"], balances["USDT"]["balance"]) == (15_000, 10_000)
    assert (balances["BTC"]["opening"], balances["BTC"]["balance"]) == (Decimal("-0.05"), Decimal("0.05"))


async def test_an_older_revision_of_an_order_is_ignored(service):
    await service.order(revision=2, status=OrderStatus.FILLED)
    await service.order(revision=1)

    assert service.accounts.books["main"].locked == {}


async def test_the_days_first_baseline_stays(service):
    await service.pass_second("50000")
    await (await Service(service.tables).start()).pass_second("50000")

    [row] = await service.tables.rows("day_baselines")
    assert (row["equity"], row["source"]) == (10_000, "opening")


async def test_the_baseline_of_a_night_that_was_slept_through_comes_from_the_bookings(service):
    await service.pass_second("50000")
    await service.fill(Side.BUY, "0.1", "50000", fee="0.0001", fee_asset="BTC")
    await service.pass_second("50000")
    service.clock.advance(86_400)
    await service.fill(Side.SELL, "0.05", "40000", trade_id=2, at=NOON + timedelta(days=1))

    await service.pass_second("40000")

    rows = {row["source"]: row["equity"] for row in await service.tables.rows("day_baselines")}
    assert rows["candle"] == Decimal("10194.8")  # 10 000 - 5 000 + 0.0999 x 52 000


async def test_the_views_say_what_people_read(service, migrated):
    await service.pass_second("50000")
    await service.fill(Side.BUY, "0.1", "50000", stop_loss=Decimal(49_000))
    await service.pass_second("50500")
    await service.fill(Side.SELL, "0.1", "50400", trade_id=2, at=NOON + timedelta(seconds=3))
    await service.fill(Side.BUY, "0.2", "50000", trade_id=3, at=NOON + timedelta(seconds=4))
    await service.pass_second("50500")

    reader = await migrated.connect("reader")
    try:
        tables = Tables(reader)
        [position] = await tables.rows("positions")
        [equity] = await tables.rows("equity")
        [performance] = await tables.rows("performance")
        fills = await tables.rows("booked_fills")
        [trip] = await tables.rows("round_trips")
    finally:
        await reader.close()

    assert (position["unrealised_pnl"], position["realised_pnl"], position["is_open"]) == (100, 40, True)
    assert (equity["equity"], equity["pnl_today"], equity["positions_open"]) == (10_140, 140, 1)
    assert (performance["fills"], performance["round_trips"], performance["wins"]) == (3, 1, 1)
    assert (performance["pnl"], trip["pnl"], len(fills)) == (140, 40, 3)


async def test_open_positions_name_their_symbols(service):
    await service.fill()

    async with service.tables.database.connection() as connection:
        assert await open_symbols(connection) == ["BTC/USDT"]


async def test_a_ledger_in_another_quote_currency_is_refused(service):
    service.tables.quote_asset = "USDC"

    with pytest.raises(ConfigurationError, match="quoted in USDT"):
        await Service(service.tables).start()


async def test_what_moved_balances_without_an_order_is_booked_once(service):
    book = service.accounts.books["main"]
    opening, balance = book.opening_quote, book.quote_balance

    await service.moved(OPENED_AT + timedelta(seconds=1), "first")
    await service.moved(OPENED_AT + timedelta(seconds=1), "first")
    await service.moved(OPENED_AT, "in the opening balances")

    again = (await Service(service.tables).start()).accounts.books["main"]
    assert (again.opening_quote, again.quote_balance) == (book.opening_quote, book.quote_balance)
    change = Decimal("100.000000000000000001")
    assert (book.opening_quote, book.quote_balance) == (opening + change, balance - change)
    rows = await service.tables.rows("movements ORDER BY at, asset")
    assert [(row["reference"], row["asset"], row["in_opening"]) for row in rows] == [
        ("in the opening balances", "USDT", True),
        ("in the opening balances", "XYZ", True),
        ("first", "USDT", False),
        ("first", "XYZ", False),
    ]
