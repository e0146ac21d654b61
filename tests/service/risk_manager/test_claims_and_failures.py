"""What claims become with each report, and what the risk manager does while Redis is away or its role is lost."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.common.contracts.vocabulary import OrderStatus, TradingState
from libs.common.control.halts import HaltRecord
from libs.common.errors import RetryableError
from services.risk_manager.domain.claims import Phase
from services.risk_manager.domain.crashes import CrashCounter
from services.risk_manager.domain.trading_state import AccountState
from tests.service.risk_manager.builders import NOW, a_command, a_signal, enveloped
from tests.service.risk_manager.test_emergencies import a_beat
from tests.service.risk_manager.test_halt_watch import Tower
from tests.service.risk_manager.test_judging import Desk

NOTIONAL = Decimal("199.6995")  # 0.00399 BTC x 50 050 USDT per BTC


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        (OrderStatus.SUBMITTED, Phase.RESERVED),
        (OrderStatus.ACCEPTED, Phase.WORKING),
        (OrderStatus.PARTIALLY_FILLED, Phase.WORKING),
        (OrderStatus.UNKNOWN, Phase.UNKNOWN),
        (OrderStatus.QUARANTINED, Phase.UNKNOWN),
    ],
)
async def test_an_order_claims_all_of_its_cost_until_its_final_report(status: OrderStatus, phase: Phase):
    desk = await Desk().marked()
    approved = await desk.approved(a_signal())

    await desk.updated(approved, status=status, filled_quantity=Decimal("0.001"), filled_amount=Decimal(50))

    claim = desk.records.claims[approved.intent_id]
    assert (claim.phase, claim.notional) == (phase, NOTIONAL)
    assert desk.book.claims[approved.intent_id] == claim


async def test_a_position_of_an_older_revision_settles_nothing():
    desk = await Desk().marked()
    approved = await desk.approved(a_signal())
    await desk.held("0", revision=7, round_trips=0)
    bought = {"filled_quantity": Decimal("0.00399"), "filled_amount": Decimal(200)}
    await desk.updated(approved, status=OrderStatus.FILLED, final=True, **bought)
    assert desk.records.claims[approved.intent_id].phase is Phase.FILLED

    await desk.held("0.00399", revision=6)

    assert desk.records.claims[approved.intent_id].phase is Phase.FILLED
    assert desk.book.held["BTC/USDT"].quantity == 0


async def test_a_halt_holds_although_the_permit_cannot_be_taken_back():
    tower = await Tower().ready()
    tower.writer.error = RetryableError("Redis is away")
    await tower.file.add(HaltRecord.of(a_command("HALT")))

    await tower.watch.look()

    assert tower.state() is TradingState.HALTED
    assert tower.writer.granted == {"main": 0}  # it lapses by itself
    tower.writer.error = None
    await tower.permits.renew()
    assert tower.writer.granted == {}


async def test_a_manager_that_lost_its_role_leaves_its_successors_permits_alone():
    tower = await Tower().ready()
    tower.is_owner = False

    await tower.permits.revoke("main")

    assert tower.writer.granted == {"main": 0}


async def test_a_halt_of_one_symbol_leaves_the_permit_to_the_others():
    tower = await Tower().ready()

    await tower.watch.on_command(enveloped(a_command("HALT", symbol="BTC/USDT")))

    assert tower.writer.granted == {"main": 0}


def test_starting_what_is_started_and_stopping_what_is_stopped_changes_nothing():
    stopped = AccountState(account="main", since=NOW, wants_active=False)
    started = replace(stopped, wants_active=True)

    assert started.started(reason="", issuer="alice", now=NOW + timedelta(seconds=1)) is started
    assert stopped.stopped(reason="", issuer="alice", now=NOW + timedelta(seconds=1)) is stopped


def test_a_process_that_falls_silent_without_a_successor_is_no_restart_until_one_comes():
    counter = CrashCounter(crashes_max=0, window_s=600)
    counter.hear(a_beat(0), now_s=0)

    assert counter.crash_loops(now_s=60) == {}
    counter.hear(a_beat(1), now_s=61)

    assert counter.crash_loops(now_s=62) == {"notifier": 1}


def test_the_processes_that_are_remembered_are_bounded():
    counter = CrashCounter(crashes_max=3, window_s=600)

    for life in range(1_000):
        counter.hear(a_beat(life), now_s=0)

    assert len(counter._lives) == 200
