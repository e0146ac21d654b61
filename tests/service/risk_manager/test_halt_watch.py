# ruff: noqa: ARG001, ARG002 - fakes have the signatures of what they stand for
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import CommandAcknowledged
from libs.common.contracts.vocabulary import TradingState
from libs.common.control.halts import HaltRecord
from libs.common.control.latch_reader import LatchReader
from libs.common.control.permit import Renewal
from libs.common.errors import RetryableError
from services.risk_manager.domain.trading_state import AccountState
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.halt_watch import HaltWatch
from services.risk_manager.service.losses import LossGuard
from services.risk_manager.service.permits import LastLook, PermitKeeper
from services.risk_manager.service.policy import StartPolicy
from services.risk_manager.service.ports import RiskRecords
from tests.service.risk_manager.builders import (
    NOW,
    OPERATORS,
    FakeConditions,
    FakeRecords,
    a_clock,
    a_command,
    a_configuration,
    a_keeper,
    a_mark,
    enveloped,
)


class FakeLatch:
    """A latch in memory that can be away."""

    def __init__(self) -> None:
        self.records: dict[str, HaltRecord] = {}
        self.is_away = False
        self.is_full = False

    async def add(self, record: HaltRecord) -> None:
        self._require()
        if self.is_full:
            raise OSError("no space left on device")
        self.records.setdefault(record.halt_id, record)

    async def read(self) -> Sequence[HaltRecord]:
        self._require()
        return list(self.records.values())

    async def remove(self, halt_ids: Collection[str]) -> None:
        self._require()
        for halt_id in halt_ids:
            self.records.pop(halt_id, None)

    def _require(self) -> None:
        if self.is_away:
            raise RetryableError("away")


class FakePermitWriter:
    """Remembers which accounts have a permit."""

    def __init__(self) -> None:
        self.granted: dict[str, int] = {}
        self.error: Exception | None = None

    async def renew(self, account: str, *, risk_epoch: int, halt_epoch: int) -> Renewal:
        if self.error is not None:
            raise self.error
        self.granted[account] = halt_epoch
        return Renewal.RENEWED

    async def revoke(self, account: str, *, risk_epoch: int) -> None:
        if self.error is not None:
            raise self.error
        self.granted.pop(account, None)


async def no_sale(halt: HaltRecord, state: AccountState, records: RiskRecords) -> list[Event]:
    return []


class Tower:
    """Halt watch and permits over fakes; the account is ACTIVE and freshly marked."""

    def __init__(self) -> None:
        self.records, self.clock = FakeRecords(), a_clock()
        self.redis, self.file, self.writer = FakeLatch(), FakeLatch(), FakePermitWriter()
        self.events: list[Event] = []
        self.database_is_away = False
        self.answer_is_lost = False
        self.is_owner = True
        self.differing: tuple[str, ...] = ()
        configuration = a_configuration()
        self.governor = Governor(
            configuration=configuration,
            configuring=a_keeper(configuration),
            operators=lambda: OPERATORS,
            conditions=FakeConditions(),
            liquidate=no_sale,
            start=StartPolicy(starts_active=True),
            clock=self.clock,
        )
        self.losses = LossGuard(configuration=configuration, governor=self.governor)
        last_look = LastLook(self.clock)
        self.permits = PermitKeeper(
            configuration=configuration,
            writer=self.writer,
            governor=self.governor,
            losses=self.losses,
            epoch=lambda: 7 if self.is_owner else None,
            last_look=last_look,
            differing=lambda: self.differing,
            clock=self.clock,
        )
        self.watch = HaltWatch(
            governor=self.governor,
            latches=LatchReader(redis=self.redis, file=self.file),
            redis=self.redis,
            file=self.file,
            permits=self.permits,
            apply=self.apply,
            last_look=last_look,
        )

    async def apply(self, work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        if self.database_is_away:
            raise RetryableError("Postgres is away")

        async def run() -> Sequence[Event]:
            return await work(self.records)

        if self.answer_is_lost:
            await self.records.transact_unanswered(run())
        self.events += await self.records.transact(run())

    async def ready(self) -> "Tower":
        await self.apply(self.governor.begin)
        await self.marked()
        await self.watch.look()
        await self.permits.renew()
        assert self.writer.granted == {"main": 0}
        return self

    async def marked(self) -> None:
        mark = enveloped(a_mark(occurred_at=self.clock.now()))
        await self.apply(lambda records: self.losses.on_equity_marked(mark, records))

    def state(self) -> TradingState:
        return self.governor.known["main"].state


@pytest.mark.parametrize("place", ["redis", "file"])
async def test_a_halt_in_either_latch_revokes_the_permit_halts_and_reaches_the_other_latch(place: str) -> None:
    tower = await Tower().ready()
    command = a_command("HALT")
    await getattr(tower, place).add(HaltRecord.of(command))

    await tower.watch.look()

    assert tower.writer.granted == {}
    assert tower.state() is TradingState.HALTED
    assert tower.redis.records.keys() == tower.file.records.keys() == {str(command.command_id)}
    (answer,) = [event for event in tower.events if isinstance(event, CommandAcknowledged)]
    assert answer.path == place


async def test_a_halt_from_kafka_takes_effect_without_the_owners_turn() -> None:
    tower = await Tower().ready()
    command = enveloped(a_command("HALT"))

    await tower.watch.on_command(command)
    assert tower.state() is TradingState.HALTED
    assert tower.writer.granted == {}
    before = len(tower.events)
    await tower.apply(lambda records: tower.governor.on_command(command, records))

    assert len(tower.events) == before


@pytest.mark.parametrize("command", ["RESUME", "START"])
async def test_only_halts_take_the_direct_way(command: str) -> None:
    tower = await Tower().ready()
    before = len(tower.events)

    await tower.watch.on_command(enveloped(a_command(command)))

    assert len(tower.events) == before


async def test_a_forged_halt_does_not_take_the_direct_way() -> None:
    tower = await Tower().ready()
    forged = a_command("HALT").model_copy(update={"reason": "forged"})

    await tower.watch.on_command(enveloped(forged))

    assert tower.state() is TradingState.ACTIVE
    assert tower.writer.granted == {"main": 0}


async def test_a_halt_that_cannot_be_made_durable_stays_latched_and_keeps_the_permit_away() -> None:
    tower = await Tower().ready()
    await tower.file.add(HaltRecord(halt_id="h", halted_at=NOW))
    tower.database_is_away = True

    with pytest.raises(RetryableError):
        await tower.watch.look()
    await tower.permits.renew()

    assert tower.writer.granted == {}
    assert "h" in tower.file.records


async def test_a_settled_halt_disappears_from_both_latches() -> None:
    tower = await Tower().ready()
    command = a_command("HALT")
    await tower.file.add(HaltRecord.of(command))
    await tower.watch.look()
    resume = enveloped(a_command("RESUME", clears=(str(command.command_id),)))
    await tower.apply(lambda records: tower.governor.on_command(resume, records))

    await tower.watch.look()

    assert tower.redis.records == tower.file.records == {}
    assert tower.state() is TradingState.REDUCING


@pytest.mark.parametrize("place", ["redis", "file"])
async def test_a_latched_halt_whose_commit_was_never_answered_stays_latched_and_halts(place: str) -> None:
    tower = await Tower().ready()
    await getattr(tower, place).add(HaltRecord.of(a_command("HALT")))
    tower.answer_is_lost = True
    with pytest.raises(RetryableError):
        await tower.watch.look()
    tower.answer_is_lost = False

    await tower.watch.look()
    await tower.permits.renew()

    assert tower.state() is TradingState.HALTED
    assert len(tower.redis.records) == len(tower.file.records) == 1
    assert tower.writer.granted == {}


async def test_a_latched_halt_that_nobody_cleared_is_never_dropped() -> None:
    tower = await Tower().ready()
    await tower.file.add(HaltRecord.of(a_command("HALT")))
    await tower.watch.look()
    tower.governor.known["main"] = replace(tower.governor.known["main"], halts=())

    await tower.watch.look()

    assert len(tower.redis.records) == len(tower.file.records) == 1


@pytest.mark.parametrize("command", ["HALT", "RESUME"])
async def test_a_command_whose_commit_was_never_answered_is_known_after_the_next_look_at_the_rows(command: str) -> None:
    tower = await Tower().ready()
    halt = a_command("HALT")
    if command == "RESUME":
        await tower.apply(lambda records: tower.governor.on_command(enveloped(halt), records))
    unanswered = a_command("RESUME", clears=(str(halt.command_id),)) if command == "RESUME" else halt
    tower.answer_is_lost = True
    with pytest.raises(RetryableError):
        await tower.apply(lambda records: tower.governor.on_command(enveloped(unanswered), records))
    tower.answer_is_lost = False

    await tower.apply(tower.governor.restore)

    assert tower.governor.known == tower.records.states
    assert tower.state() is (TradingState.HALTED if command == "HALT" else TradingState.REDUCING)


async def test_a_stored_halt_that_the_latches_lost_is_asserted_again() -> None:
    tower = await Tower().ready()
    await tower.watch.on_command(enveloped(a_command("HALT")))
    await tower.watch.look()
    tower.redis.records.clear()
    tower.file.records.clear()

    await tower.watch.look()

    assert len(tower.redis.records) == len(tower.file.records) == 1


async def test_a_halt_reaches_the_directory_while_redis_is_away_and_redis_later() -> None:
    tower = await Tower().ready()
    tower.redis.is_away = True
    await tower.watch.on_command(enveloped(a_command("HALT")))

    await tower.watch.look()
    assert len(tower.file.records) == 1
    tower.redis.is_away = False
    await tower.watch.look()

    assert len(tower.redis.records) == 1


async def test_a_halt_holds_although_the_disk_is_full_and_reaches_the_directory_later() -> None:
    tower = await Tower().ready()
    tower.file.is_full = True
    await tower.redis.add(HaltRecord.of(a_command("HALT")))

    await tower.watch.look()
    assert (tower.state(), tower.file.records) == (TradingState.HALTED, {})
    tower.file.is_full = False
    await tower.watch.look()

    assert len(tower.file.records) == 1


async def test_a_halt_of_another_installations_account_is_left_alone() -> None:
    tower = await Tower().ready()
    await tower.file.add(HaltRecord(halt_id="h", account="elsewhere", halted_at=NOW))

    await tower.watch.look()

    assert tower.state() is TradingState.ACTIVE
    assert "h" in tower.file.records


async def test_no_permit_while_processes_differ() -> None:
    tower = await Tower().ready()
    tower.differing = ("trade_executor host:1: build 0.9 where 1.0 is expected",)

    await tower.permits.renew()

    assert tower.writer.granted == {}
    tower.differing = ()
    await tower.permits.renew()
    assert tower.writer.granted == {"main": 0}


async def test_no_permit_without_ownership() -> None:
    tower = await Tower().ready()
    tower.writer.granted.clear()
    tower.is_owner = False

    await tower.permits.renew()

    assert tower.writer.granted == {}


async def test_no_permit_on_equity_older_than_five_seconds() -> None:
    tower = await Tower().ready()

    tower.clock.advance(5)
    await tower.watch.look()
    await tower.permits.renew()
    assert tower.writer.granted == {"main": 0}
    tower.clock.advance(0.001)
    await tower.permits.renew()

    assert tower.writer.granted == {}


async def test_no_permit_when_nobody_has_looked_at_the_latches_lately() -> None:
    tower = await Tower().ready()

    tower.clock.advance(0.501)
    await tower.permits.renew()

    assert tower.writer.granted == {}


async def test_an_unreachable_redis_does_not_end_the_renewals() -> None:
    tower = await Tower().ready()
    tower.writer.error = RetryableError("away")
    await tower.permits.renew()
    await tower.permits.revoke("main")
    tower.writer.error = None

    await tower.permits.renew()

    assert tower.writer.granted == {"main": 0}
