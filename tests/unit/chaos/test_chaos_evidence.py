"""What a kill hit, and whether it counts: told from rows, so that no run can flatter itself."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.paper_exchange.faults.menu import Fault
from tests.chaos.evidence import Intent, State, Step, Update, in_flight, inactive_s, step_of, verdicts, was_active
from tests.chaos.faults import ARMED_S, MENU
from tests.chaos.journal_tail import JournalTail, Seen
from tests.chaos.plan import EXCHANGE, EXECUTOR, VICTIMS, Aim, rounds
from tests.chaos.report import Outcome, Report
from tests.chaos.settlement import Imbalance, journal_changes, settle

AT = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1_000)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def an_intent(*, created_s: float = -0.1, role: str = "ENTRY", **changes: Any) -> Intent:
    values = {"client_order_id": "ctE-1", "role": role, "created_at": after(created_s)}
    return Intent(**{**values, **changes})


@pytest.mark.parametrize(
    ("intent", "is_in_flight"),
    [
        (an_intent(), True),
        (an_intent(created_s=-60), True),  # its answer never came
        (an_intent(created_s=0.001), False),
        (an_intent(created_s=-3, answered_at=after(-2)), True),
        (an_intent(created_s=-3, answered_at=after(-2.001)), False),
        (an_intent(created_s=-3, verdict_at=after(-2.001)), False),
    ],
)
def test_an_order_is_in_flight_from_its_record_until_two_seconds_after_its_answer(
    intent: Intent, *, is_in_flight: bool
):
    assert (in_flight([intent], AT) is not None) == is_in_flight


def test_of_several_orders_in_flight_the_one_without_an_answer_was_hit():
    answered = an_intent(created_s=-0.5, client_order_id="ctE-2", answered_at=after(-0.4))
    waiting = an_intent(created_s=-1)

    assert in_flight([answered, waiting], AT) is waiting


def test_of_a_list_in_flight_the_entry_was_hit():
    older = an_intent(created_s=-1, client_order_id="ctE-2", signed_at_ms=AT_MS - 900)
    entry = an_intent(created_s=-0.2, signed_at_ms=AT_MS - 100)
    stop = an_intent(created_s=-0.1, role="PROTECTION", client_order_id="ctP-1", signed_at_ms=AT_MS - 100)

    assert in_flight([older, entry, stop], AT) is entry
    assert in_flight([older, stop], AT) is stop


@pytest.mark.parametrize(
    ("intent", "seen", "step"),
    [
        (an_intent(), None, Step.PREPARED),
        (an_intent(), Seen("E", AT_MS + 1, False, "NEW"), Step.SENT),
        (an_intent(), Seen("E", AT_MS, False, "EXPIRED"), Step.ACCEPTED),
        (an_intent(), Seen("E", AT_MS, True, "FILLED"), Step.FILLED),
        (an_intent(answered_at=AT), Seen("E", AT_MS - 5, True, "FILLED"), Step.ANSWERED),
        (an_intent(answered_at=after(1)), Seen("E", AT_MS - 5, True, "FILLED"), Step.FILLED),
        (an_intent(role="PROTECTION"), None, Step.PROTECTION),
        (an_intent(role="EXIT"), None, Step.EXIT),
    ],
)
def test_the_step_of_an_order_is_what_table_and_journal_say_together(intent: Intent, seen: Seen | None, step: Step):
    assert step_of(intent, seen, AT) is step


def test_a_verdict_is_the_first_word_that_is_more_than_unknown():
    updates = [
        Update(client_order_id="ctE-1", status=status, at=after(seconds))
        for seconds, status in enumerate(["PREPARED", "UNKNOWN", "ACCEPTED", "FILLED"])
    ]

    assert verdicts(updates) == {"ctE-1": after(2)}


def test_a_state_counts_as_active_only_after_two_seconds_of_it():
    states = [State(state="ACTIVE", since=after(-30)), State(state="REDUCING", since=after(-10))]
    again = State(state="ACTIVE", since=after(-2))

    assert not was_active([], AT)
    assert not was_active(states, AT)
    assert was_active([*states, again], AT)
    assert not was_active([*states, again], AT - timedelta(milliseconds=1))


def test_the_time_not_active_is_cut_to_the_run():
    states = [
        State(state="REDUCING", since=after(0)),
        State(state="ACTIVE", since=after(3)),
        State(state="HALTED", since=after(8)),
    ]

    assert inactive_s(states, after(1), after(10)) == (3 - 1) + (10 - 8)


def test_a_seed_gives_the_same_rounds_again_and_another_seed_gives_others():
    assert list(islice(rounds(1), 50)) == list(islice(rounds(1), 50))
    assert list(islice(rounds(1), 50)) != list(islice(rounds(2), 50))


def test_three_hundred_kills_hit_everyone_and_aim_at_every_moment_five_times():
    planned, kills = [], 0
    for each in rounds(7):
        planned.append(each)
        kills += len(each.victims)
        if kills >= 300:
            break

    hits = [victim for each in planned for victim in each.victims]
    assert min(hits.count(name) for name in VICTIMS) >= 5
    assert min(sum(each.aim is aim for each in planned) for aim in Aim) >= 5


def test_an_order_at_a_frozen_exchange_loses_its_sender_and_is_lost_with_its_exchange():
    for each in islice(rounds(3), 200):
        assert len(set(each.victims)) == len(each.victims)
        if each.aim in {Aim.WAITING, Aim.LOST}:
            assert EXECUTOR in each.victims
        if each.aim is Aim.LOST:
            assert EXCHANGE in each.victims


def test_every_fault_is_one_of_the_exchange_and_ends():
    known = TypeAdapter[Fault](Fault)
    for fault in MENU:
        assert known.validate_python({"for_s": ARMED_S, **fault}).for_s


A_BUY: dict[str, Any] = {
    "type": "fill",
    "account": "main",
    "symbol": "BTCUSDT",
    "trade_id": 1,
    "order_id": 7,
    "side": "BUY",
    "price": "50000",
    "quantity": "0.001",
    "commission": "0.000001",
    "commission_asset": "BTC",
}
DEPOSITS = [
    {"type": "transfer", "account": "main", "asset": "USDT", "amount": "100"},
    {"type": "transfer", "account": "main", "asset": "BTC", "amount": "1"},
]


def a_balance(asset: str, free: str, locked: str = "0") -> dict[str, str]:
    return {"type": "balance", "account": "main", "asset": asset, "free": free, "locked": locked}


def test_transfers_and_executions_make_up_the_balances():
    ends = [a_balance("USDT", "20", "30"), a_balance("BTC", "1.000999")]  # 100 - 0.001 x 50 000; 1 + 0.001 - fee

    assert settle([*DEPOSITS, A_BUY, A_BUY, *ends], ["BTC/USDT"]) == []


def test_a_coin_that_nothing_explains_is_found():
    ends = [a_balance("USDT", "50"), a_balance("BTC", "1.001")]

    assert settle([*DEPOSITS, A_BUY, *ends], ["BTC/USDT"]) == [
        Imbalance(account="main", asset="BTC", expected=Decimal("1.000999"), found=Decimal("1.001"))
    ]


def an_order(client_id: str, status: str, *, executed: str = "0") -> str:
    return (
        f'{{"type":"order","client_order_id":"{client_id}","status":"{status}",'
        f'"executed_quantity":"{executed}","created_at_ms":5}}'
    )


def test_the_tail_of_a_journal_reads_on_over_half_lines_and_files(tmp_path):
    first, second = tmp_path / "journal-000000000001.jsonl", tmp_path / "journal-000000000009.jsonl"
    tail = JournalTail(tmp_path)
    tail.poll()
    assert tail.orders == {}

    first.write_text(f'{{"changes":[{an_order("ctE-1", "FILLED", executed="0.1")}]}}\n{{"chan')
    tail.poll()
    assert tail.entries_at_ms == [5]
    assert tail.orders["ctE-1"].filled_at_once

    first.write_text(first.read_text() + f'ges":[{an_order("ctP-1", "NEW")},{an_order("web-1", "NEW")}]}}\n')
    second.write_text(f'{{"changes":[{an_order("ctP-1", "CANCELED")},{{"type":"market"}}]}}\n')
    tail.poll()
    tail.poll()

    assert tail.taken == {"E": 1, "P": 1, "C": 1}
    assert tail.lines == 3
    assert list(journal_changes(tmp_path))[-1] == {"type": "market"}


def an_outcome(**changes: Any) -> Outcome:
    values: dict[str, Any] = {
        "number": 1,
        "aim": "accepted",
        "victims": ("kafka", EXECUTOR),
        "mishap": "",
        "fault": "",
        "at": AT.isoformat(),
        "aimed": True,
        "active": True,
        "step": Step.FILLED,
        "counted": True,
        "why_not": "",
        "recovery_s": 3.0,
        "trading_s": 4.0,
    }
    return Outcome(**{**values, **changes})


def test_a_report_counts_only_the_kills_that_count_and_says_what_failed():
    report = Report(seed=5, wanted=2, scaled={})
    report.rounds = [an_outcome(), an_outcome(counted=False, victims=("redis",), step=None)]
    report.failures = ["balance off"]

    content = report.as_json()

    assert content["kills"] == {"wanted": 2, "made": 3, "counted": 2}
    assert content["by_process"] == {"kafka": 1, EXECUTOR: 1}
    assert content["by_step"] == {Step.FILLED: 2}
    assert content["recovery_s"]["p50"] == 3.0
    assert content["verdict_s"] == {"count": 0}
    assert report.as_text().endswith("FAILED: balance off")
