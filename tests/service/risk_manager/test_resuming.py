"""A RESUME clears what it names and nothing else, and nothing while the books and the exchange differ."""

from typing import Any

import pytest

from libs.common.contracts.vocabulary import StopTrigger, TradingState
from libs.common.control.halts import HaltRecord
from services.risk_manager.domain.resuming import OpenDifference
from tests.service.risk_manager.builders import NOW, a_command, an_active_account
from tests.service.risk_manager.test_governing import Office

WHOLE = HaltRecord(halt_id="whole", account="main", halted_at=NOW)
BTC = HaltRecord(halt_id="btc", account="main", scope_symbol="BTC/USDT", halted_at=NOW)
ETH = HaltRecord(halt_id="eth", account="main", scope_symbol="ETH/USDT", halted_at=NOW)


def a_difference(**changes: Any) -> OpenDifference:
    fields = {
        "difference_id": "7",
        "symbol": "BTC/USDT",
        "subject": "BALANCE BTC",
        "expected": "0.05",
        "found": "0.04",
    }
    return OpenDifference(**{**fields, **changes})


def halted_office(*halts: HaltRecord) -> Office:
    office = Office()
    an_active_account(office.records, halts=halts, halt_epoch=len(halts))
    return office


async def test_the_answer_names_what_was_cleared_and_what_is_still_latched() -> None:
    office = halted_office(WHOLE, BTC, ETH)

    answer = await office.acknowledged(a_command("RESUME", clears=("btc", "whole")))

    assert answer.accepted
    assert answer.reason == "cleared: whole, btc; still latched: eth"
    assert [halt.halt_id for halt in office.records.states["main"].halts] == ["eth"]


@pytest.mark.parametrize(
    ("clears", "reason"),
    [
        ((), "NO_HALT_IS_NAMED: latched: "),
        (tuple(f"{number:02}-{'x' * 197}" for number in range(100)), "HALT_IS_UNKNOWN: 00-xxx"),
        (tuple(f"{number:02}-{'h' * 97}" for number in range(50)), "cleared: 00-hhh"),
    ],
)
async def test_an_answer_about_many_halts_names_the_first_and_counts_the_others(
    clears: tuple[str, ...], reason: str
) -> None:
    halts = [HaltRecord(halt_id=f"{number:02}-{'h' * 97}", account="main", halted_at=NOW) for number in range(100)]
    office = halted_office(*halts)

    answer = await office.acknowledged(a_command("RESUME", clears=clears))

    assert answer.reason.startswith(reason)
    assert answer.reason.endswith(", and 95 more" if not answer.accepted else ", and 45 more")
    assert len(office.records.states["main"].halts) == (50 if answer.accepted else 100)


async def test_an_answer_is_cut_where_it_would_not_fit() -> None:
    office = halted_office(WHOLE)
    office.conditions.differing = [a_difference(found="9" * 1_000) for _ in range(5)]

    assert len((await office.acknowledged(a_command("RESUME", clears=("whole",)))).reason) == 2_000


async def test_a_halt_that_came_after_the_person_looked_keeps_its_latch() -> None:
    office = halted_office(WHOLE)
    command = a_command("RESUME", clears=("whole",))
    await office.latched(HaltRecord(halt_id="later", account="main", halted_at=NOW))

    answer = await office.acknowledged(command)

    assert answer.reason == "cleared: whole; still latched: later"
    assert office.records.states["main"].state is TradingState.HALTED


@pytest.mark.parametrize(
    ("halt", "symbol", "refused"),
    [
        (WHOLE, "BTC/USDT", True),
        (WHOLE, None, True),
        (BTC, "BTC/USDT", True),
        (BTC, None, True),
        (BTC, "ETH/USDT", False),
    ],
)
async def test_nothing_is_resumed_that_differs_from_the_exchange(
    halt: HaltRecord,
    symbol: str | None,
    refused: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    office = halted_office(halt)
    office.conditions.differing = [a_difference(symbol=symbol)]

    answer = await office.acknowledged(a_command("RESUME", clears=(halt.halt_id,)))

    assert answer.accepted is not refused
    if refused:
        assert answer.reason.startswith("RECONCILIATION_DIFFERS: settle them first")
        assert "BALANCE BTC: expected 0.05, found 0.04" in answer.reason
        assert office.records.states["main"].halts == (halt,)


async def test_of_many_differences_the_first_are_named_and_the_others_counted() -> None:
    office = halted_office(WHOLE)
    office.conditions.differing = [a_difference(difference_id=str(number)) for number in range(7)]

    answer = await office.acknowledged(a_command("RESUME", clears=("whole",)))

    assert answer.reason.endswith("4 (BTC/USDT BALANCE BTC: expected 0.05, found 0.04); and 2 more")


@pytest.mark.parametrize(
    ("scope", "clears", "accepted"),
    [
        ({"symbol": "BTC/USDT"}, ("btc",), True),
        ({"symbol": "BTC/USDT"}, ("btc", "eth"), False),
        ({"symbol": "BTC/USDT"}, ("whole",), False),
        ({"strategy": "ema_cross"}, ("whole",), False),
        ({}, ("whole", "btc", "eth"), True),
    ],
)
async def test_a_resume_clears_nothing_outside_of_its_own_scope(
    scope: dict[str, Any],
    clears: tuple[str, ...],
    accepted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    office = halted_office(WHOLE, BTC, ETH)

    answer = await office.acknowledged(a_command("RESUME", clears=clears, **scope))

    assert answer.accepted is accepted
    if not accepted:
        assert answer.reason.startswith("HALT_IS_OUT_OF_SCOPE: ")
        assert len(office.records.states["main"].halts) == 3


async def test_the_cause_is_told_before_the_differences() -> None:
    office = halted_office(WHOLE.model_copy(update={"trigger": StopTrigger.SYSTEM_ERROR}))
    office.conditions.found = {StopTrigger.SYSTEM_ERROR: "the audit log has stood still for 61 s"}
    office.conditions.differing = [a_difference()]

    answer = await office.acknowledged(a_command("RESUME", clears=("whole",)))

    assert answer.reason == "CAUSE_PERSISTS: SYSTEM_ERROR: the audit log has stood still for 61 s"
