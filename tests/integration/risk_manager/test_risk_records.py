"""The tables hold what the handlers decide; the fake of the handlers' tests keeps the same contract."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from libs.common.configuration.loading import source
from libs.common.contracts.event import Event
from libs.common.contracts.events import ControlCommanded, OperatorKeyChanged, OrderApproved, OrderRefused
from libs.common.contracts.vocabulary import OrderStatus, Role, StopTrigger, TradingState
from libs.common.control.commands import CommandHistory
from libs.common.control.halts import HaltRecord
from libs.common.storage.postgres import Database
from libs.trading.risk import Setbacks
from services.risk_manager.adapters.postgres import PostgresRiskRecords
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.domain.configuration import ConfigurationVersion
from services.risk_manager.domain.trading_state import AccountState, ReducingCause
from services.risk_manager.domain.trips import CountedSetbacks, Trips
from services.risk_manager.service.exposure import ExposureKeeper, held
from services.risk_manager.service.judging import SignalJudge
from services.risk_manager.service.ports import RiskRecords
from tests.service.risk_manager.builders import (
    NOW,
    FakeBook,
    FakeInstruments,
    FakeMarket,
    FakeRecords,
    a_clock,
    a_command,
    a_configuration,
    a_mark,
    a_position,
    a_signal,
    an_exit,
    an_update,
    enveloped,
)
from tests.service.risk_manager.test_entries_booked_in_parts import a_claim
from tests.support.migrated import MigratedDatabase

Transact = Callable[[Callable[[RiskRecords], Awaitable[Any]]], Awaitable[Any]]


async def in_memory(records: FakeRecords, work: Callable[[RiskRecords], Awaitable[Any]]) -> Any:
    result: list[Any] = []

    async def run() -> Sequence[Event]:
        result.append(await work(records))
        return ()

    await records.transact(run())
    return result[0]


async def in_postgres(database: Database, work: Callable[[RiskRecords], Awaitable[Any]]) -> Any:
    effects: list[Callable[[], None]] = []
    async with database.transaction() as connection:
        result = await work(PostgresRiskRecords(connection, after_commit=effects.append))
    for effect in effects:
        effect()
    return result


@pytest.fixture(params=["memory", "postgres"])
async def transact(request: pytest.FixtureRequest, migrated: MigratedDatabase) -> AsyncIterator[Transact]:
    if request.param == "memory":
        records = FakeRecords()
        yield lambda work: in_memory(records, work)
        return
    database = await migrated.connect("risk_manager")
    yield lambda work: in_postgres(database, work)
    await database.close()


def a_state(**changes: Any) -> AccountState:
    return AccountState(**{"account": "main", "since": NOW, "wants_active": True, **changes})


def a_judge(book: FakeBook | None = None) -> SignalJudge:
    return SignalJudge(
        configuration=a_configuration(),
        epoch=lambda: 7,
        book=book or FakeBook(),
        market=FakeMarket(),
        instruments=FakeInstruments(),
        clock=a_clock(),
    )


async def test_a_state_comes_back_as_it_was_stored(transact: Transact) -> None:
    halt = HaltRecord.of(a_command("HALT", symbol="BTC/USDT", liquidate=True))
    state = a_state(
        causes=frozenset({ReducingCause.EQUITY_IS_STALE}),
        halts=(halt, HaltRecord(halt_id="file-1", account="main", halted_at=NOW)),
        halt_epoch=2,
        revision=5,
        trigger=StopTrigger.MANUAL_STOP,
        reason="drill",
        issuer="alice",
    )

    await transact(lambda records: records.save_state(state))

    assert await transact(lambda records: records.find_state("main")) == state
    assert await transact(lambda records: records.find_state("other")) is None


async def test_a_halt_that_a_state_no_longer_has_is_settled(transact: Transact) -> None:
    state = a_state(halts=(HaltRecord(halt_id="h", account="main", halted_at=NOW),))
    await transact(lambda records: records.save_state(state))
    assert not await transact(lambda records: records.is_settled("main", "h"))

    await transact(lambda records: records.save_state(a_state(revision=2)))

    assert await transact(lambda records: records.is_settled("main", "h"))
    assert not await transact(lambda records: records.is_settled("main", "never"))


async def _save_version(records: RiskRecords, *, version: ConfigurationVersion) -> None:
    await records.save_configuration(version)


async def _save(records: RiskRecords, *, command: ControlCommanded, refusal: str | None) -> None:
    await records.save_command(command, refusal=refusal, path="kafka", at=NOW)


async def test_commands_are_remembered_and_halts_do_not_raise_the_sequence(transact: Transact) -> None:
    start = a_command("START")
    halt = a_command("HALT", now=NOW + timedelta(hours=1))
    refused = a_command("STOP", now=NOW + timedelta(seconds=1))
    for command, refusal in ((start, None), (halt, None), (refused, "EXPIRED")):
        await transact(partial(_save, command=command, refusal=refusal))

    history = await transact(lambda records: records.command_history(start))

    assert history == CommandHistory(seen=True, sequence_last=start.sequence)
    assert await transact(lambda records: records.command_history(a_command())) == CommandHistory(
        sequence_last=start.sequence
    )


async def test_only_a_newer_mark_replaces_a_mark(transact: Transact) -> None:
    mark = a_mark("9999.123456789012345678", marks={"BTC/USDT": Decimal("50000.01")})

    assert await transact(lambda records: records.save_mark(mark))
    assert not await transact(lambda records: records.save_mark(a_mark("1")))

    stored = await transact(lambda records: records.mark("main"))
    assert stored.equity == Decimal("9999.123456789012345678")
    assert stored.bids == {"BTC/USDT": Decimal("50000.01")}
    assert (stored.day, stored.marked_at) == (date(2026, 1, 5), NOW)


async def test_a_day_is_warned_of_once(transact: Transact) -> None:
    await transact(lambda records: records.save_mark(a_mark()))
    day = date(2026, 1, 5)

    assert await transact(lambda records: records.warn_once("main", day))
    assert not await transact(lambda records: records.warn_once("main", day))
    assert await transact(lambda records: records.warn_once("main", day + timedelta(days=1)))


async def test_only_a_newer_position_replaces_a_position(transact: Transact) -> None:
    newer, older = held(a_position("0.5", revision=2)), held(a_position("0.1", revision=1))

    assert await transact(lambda records: records.save_position(newer, at=NOW))
    assert not await transact(lambda records: records.save_position(older, at=NOW))

    assert await transact(lambda records: records.positions("main")) == [newer]


async def test_what_a_position_bought_comes_back_digit_for_digit(transact: Transact) -> None:
    positions = [
        held(a_position("0.5", symbol="BTC/USDT", bought=Decimal("7.123456789012345678"))),
        held(a_position("0.5", symbol="ETH/USDT")),
        held(a_position("0.5", symbol="BTC/USDT", revision=2, bought=Decimal("8.123456789012345678"))),
    ]
    for position in positions:
        assert await transact(partial(_save_position, position=position))

    stored = {position.symbol: position for position in await transact(lambda records: records.positions("main"))}

    assert stored == {"BTC/USDT": positions[2], "ETH/USDT": positions[1]}
    assert (stored["BTC/USDT"].bought, stored["ETH/USDT"].bought) == (Decimal("8.123456789012345678"), None)


async def _save_position(records: RiskRecords, *, position: HeldPosition) -> bool:
    return await records.save_position(position, at=NOW)


async def test_entries_that_are_released_tell_what_they_bought_since(transact: Transact) -> None:
    part = Decimal("0.000000000000000001")
    released = {"phase": Phase.RELEASED, "filled_quantity": part, "bought_before": Decimal(5)}
    claims = [
        a_claim(1, 1, **released),
        a_claim(2, 1, **{**released, "bought_before": 5 + part}),
        a_claim(3, 1, **{**released, "bought_before": 5 - part}),
        a_claim(4, 1, **{**released, "bought_before": None}),
        a_claim(5, 1, **{**released, "phase": Phase.FILLED}),
        a_claim(6, 1, **released, symbol="ETH/USDT"),
        a_claim(7, 1, **released, account="other"),
        a_claim(8, 1, **released, role=Role.EXIT),
    ]
    for claim in claims:
        await transact(partial(_save_claim, claim=claim))
        assert await transact(partial(_claim, intent_id=claim.intent_id)) == claim

    async def bought(since: Decimal) -> Any:
        return await transact(lambda records: records.bought_by_released("main", "BTC/USDT", since=since))

    assert [await bought(since) for since in (Decimal(5), 5 + part, Decimal(6))] == [2 * part, part, 0]
    assert await transact(lambda records: records.open_claims("main")) == [claims[4]]


async def _save_claim(records: RiskRecords, *, claim: Claim) -> None:
    await records.save_claim(claim)


async def _claim(records: RiskRecords, *, intent_id: uuid.UUID) -> Claim | None:
    return await records.claim(intent_id)


async def test_a_booking_of_a_part_and_its_exit_release_nothing_and_a_snapshot_tells_so(transact: Transact) -> None:
    await transact(lambda records: records.save_state(a_state()))
    await transact(lambda records: records.save_mark(a_mark()))
    judge, keeper = a_judge(), ExposureKeeper(book=FakeBook())
    flat = enveloped(a_position("0", revision=1, bought=Decimal(5)))
    await transact(lambda records: keeper.on_position_changed(flat, records))
    (approved,) = await transact(lambda records: judge.on_signal(enveloped(a_signal()), records))
    bought = {"filled_quantity": approved.quantity, "filled_amount": Decimal(199)}
    update = enveloped(an_update(approved, status=OrderStatus.FILLED, final=True, **bought))
    await transact(lambda records: keeper.on_order_updated(update, records))

    exited = enveloped(a_position("0", revision=3, round_trips=1, bought=Decimal("5.001")))
    await transact(lambda records: keeper.on_position_changed(exited, records))

    snapshot = await transact(lambda records: records.snapshot("main", "third", now=NOW))
    (claim,) = snapshot.claims
    assert (claim.phase, claim.bought_before, claim.notional) == (Phase.FILLED, 5, 199)
    assert [position.bought for position in snapshot.positions] == [Decimal("5.001")]
    rest = enveloped(a_position("0.00299", revision=4, round_trips=1, bought=5 + approved.quantity))
    await transact(lambda records: keeper.on_position_changed(rest, records))
    assert await transact(lambda records: records.open_claims("main")) == []


async def test_a_decision_its_claim_and_what_becomes_of_them_are_stored(transact: Transact) -> None:
    await transact(lambda records: records.save_state(a_state()))
    await transact(lambda records: records.save_mark(a_mark()))
    judge, keeper = a_judge(), ExposureKeeper(book=FakeBook())

    (approved,) = await transact(lambda records: judge.on_signal(enveloped(a_signal()), records))
    again = await transact(lambda records: judge.on_signal(enveloped(a_signal()), records))
    (refused,) = await transact(lambda records: judge.on_signal(enveloped(a_signal("second")), records))

    assert isinstance(approved, OrderApproved)
    assert again == []
    assert isinstance(refused, OrderRefused)
    (claim,) = await transact(lambda records: records.open_claims("main"))
    assert (claim.intent_id, claim.phase, claim.notional) == (approved.intent_id, Phase.RESERVED, Decimal("199.6995"))
    snapshot = await transact(lambda records: records.snapshot("main", "third", now=NOW + timedelta(seconds=1)))
    assert (snapshot.recent.orders_last_minute, snapshot.recent.last_entries) == (1, {"BTC/USDT": NOW})

    update = enveloped(an_update(approved, status=OrderStatus.EXPIRED, final=True))
    await transact(lambda records: keeper.on_order_updated(update, records))

    assert await transact(lambda records: records.open_claims("main")) == []
    assert (await transact(lambda records: records.claim(approved.intent_id))).phase is Phase.RELEASED


async def test_a_snapshot_tells_everything_at_once(transact: Transact) -> None:
    state = a_state(halts=(HaltRecord(halt_id="h", account="main", halted_at=NOW),), halt_epoch=1)
    await transact(lambda records: records.save_state(state))
    empty = await transact(lambda records: records.snapshot("main", "signal-1", now=NOW))
    mark = a_mark("9999.123456789012345678", marks={"BTC/USDT": Decimal("50000.01")})
    position = held(a_position("0.123456789012345678"))
    await transact(lambda records: records.save_mark(mark))
    await transact(lambda records: records.save_position(position, at=NOW))

    full = await transact(lambda records: records.snapshot("main", "signal-1", now=NOW))

    assert (empty.decided, empty.mark, list(empty.positions), list(empty.claims)) == (False, None, [], [])
    assert (empty.recent.orders_last_minute, empty.recent.last_entries) == (0, {})
    assert full.state == state
    assert full.mark == await transact(lambda records: records.mark("main"))
    assert list(full.positions) == [position]
    with pytest.raises(LookupError):
        await transact(lambda records: records.snapshot("unknown", "signal-1", now=NOW))


async def test_an_exit_is_stored_without_a_limit_price(transact: Transact) -> None:
    await transact(lambda records: records.save_state(a_state()))
    await transact(lambda records: records.save_position(held(a_position()), at=NOW))

    (answer,) = await transact(lambda records: a_judge().on_signal(enveloped(an_exit()), records))

    assert isinstance(answer, OrderApproved)
    assert (await transact(lambda records: records.snapshot("main", "exit-1", now=NOW))).decided


async def test_the_newest_version_of_the_configuration_comes_back_digit_for_digit(transact: Transact) -> None:
    content = {"strategy": {"parameters": {"cost_rate": "0.0015", "ema_fast": 3}}, "symbols": ["BTC/USDT"]}
    first = ConfigurationVersion(
        version=1,
        sourced=source({}, {}, where="test"),
        created_at=NOW,
        issuer="risk_manager",
        reason="the first start's files",
    )
    second = ConfigurationVersion(
        version=2,
        sourced=source(content, {"symbols": "file mine.json"}, where="test"),
        created_at=NOW,
        changes=("symbols: [] -> []",),
        loosened=("strategy.quality_min",),
        issuer="alice",
        reason="drill",
        command_id=uuid.uuid4(),
    )

    assert await transact(lambda records: records.configuration()) is None
    for version in (first, second):
        await transact(partial(_save_version, version=version))
        assert await transact(lambda records: records.configuration()) == version


async def test_people_read_states_refusals_and_exposure_through_views(migrated: MigratedDatabase) -> None:
    database = await migrated.connect("risk_manager")
    halt = HaltRecord(halt_id="h", account="main", scope_symbol="ETH/USDT", halted_at=NOW)
    await in_postgres(database, lambda records: records.save_state(a_state(halts=(halt,))))
    await in_postgres(database, lambda records: records.save_mark(a_mark("9900")))
    judge = a_judge()
    await in_postgres(database, lambda records: judge.on_signal(enveloped(a_signal()), records))
    await in_postgres(database, lambda records: judge.on_signal(enveloped(a_signal("second")), records))
    await database.close()

    reader = await migrated.connect("reader")
    async with reader.connection() as connection:
        (state,) = await connection.fetch("SELECT * FROM trading_state")
        (refusal,) = await connection.fetch("SELECT * FROM refusals")
        (exposure,) = await connection.fetch("SELECT * FROM exposure")
        (latched,) = await connection.fetch("SELECT * FROM halts WHERE cleared_at IS NULL")
        decisions = await connection.fetch("SELECT * FROM risk_decisions")
        assert await connection.fetch("SELECT * FROM commands") == []
    await reader.close()

    assert (state["state"], state["halts"], state["symbols_halted"]) == (TradingState.ACTIVE, ["h"], ["ETH/USDT"])
    assert state["pnl_today"] == -100
    assert refusal["reason"] == "POSITION_IS_OPEN"
    assert exposure["phase"] == "RESERVED"
    assert latched["halt_id"] == "h"
    assert len(decisions) == 2
    assert decisions[0]["inputs"]["equity"] == "9900"


async def test_what_is_counted_of_losses_and_round_trips_comes_back_digit_for_digit(transact: Transact) -> None:
    counted = CountedSetbacks(
        account="main", setbacks=Setbacks(peak=Decimal("10000.12345678"), losing_trips=3), reached=True
    )
    trips = Trips(
        account="main",
        symbol="BTC/USDT",
        revision=4,
        strategy="ema_cross",
        round_trips=2,
        pnl_at_close=Decimal("-1.5"),
        opened_at=NOW,
        repetitions=1,
    )
    assert await transact(lambda records: records.setbacks("main")) == CountedSetbacks(account="main")
    assert await transact(lambda records: records.trips("main", "BTC/USDT")) is None

    for setbacks, told in ((CountedSetbacks(account="main"), replace(trips, opened_at=None)), (counted, trips)):
        await transact(partial(_save_counts, setbacks, told))

        assert await transact(lambda records: records.setbacks("main")) == setbacks
        assert await transact(lambda records: records.trips("main", "BTC/USDT")) == told


async def _save_counts(counted: CountedSetbacks, trips: Trips, records: RiskRecords) -> None:
    await records.save_setbacks(counted)
    await records.save_trips(trips)


async def test_the_last_change_of_every_operators_key_is_remembered(transact: Transact) -> None:
    enrolled = OperatorKeyChanged(
        occurred_at=NOW, key_id="0123456789abcdef", name="alice", role="operator", accounts=("main",), accepted=True
    )
    revoked = enrolled.model_copy(update={"accepted": False, "reason": "left", "occurred_at": NOW + timedelta(hours=1)})

    for change in (enrolled, revoked):
        await transact(partial(_save_operator_key, change))

    assert await transact(lambda records: records.operator_keys()) == {revoked.key_id: revoked}


async def _save_operator_key(change: OperatorKeyChanged, records: RiskRecords) -> None:
    await records.save_operator_key(change)
