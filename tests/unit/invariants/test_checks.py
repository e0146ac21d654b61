"""Each invariant, broken once by construction, is found; a history in agreement has no violation."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.invariants import CHECKS, Look, assess
from libs.invariants.records import ApprovalRow, BalanceRow, MovementRow, TruthBalance
from tests.unit.invariants.history import (
    ENTRY,
    NOON,
    NOON_MS,
    STOP,
    TAKE,
    a_child_row,
    a_fill_row,
    a_halt,
    a_leg,
    a_look,
    a_truth,
    a_truth_fill,
    a_truth_order,
    an_order_row,
    books,
    with_orders,
)

HALTED = [a_halt()]
PROTECTION = [a_child_row(STOP), a_child_row(TAKE)]
POSITION = books().positions[0]
LATE = a_truth_order(order_id=8, client_order_id=ENTRY[:-1] + "b", accepted_at_ms=NOON_MS + 32_001)


def broken(look: Look) -> set[str]:
    return {violation.invariant for tally in assess(look) for violation in tally.violations}


def without_stop_orders(**changes) -> Look:
    truth = a_truth()
    del truth.orders[2], truth.orders[3]
    truth.balances["main", "BTC"] = TruthBalance(Decimal("0.1499"), Decimal(0))
    return a_look(truth=truth, orders=[an_order_row()], **changes)


def test_a_history_in_agreement_has_no_violation():
    tallies = assess(a_look(halts=[a_halt(cleared_at=NOON + timedelta(seconds=40))]))

    assert [tally.violations for tally in tallies] == [[]] * len(CHECKS)
    assert all(tally.checked for tally in tallies if tally.invariant != "no_entry_is_open_while_halted")


BREACHES = {
    "exchange_order_has_one_intent": [
        a_look(orders=PROTECTION),
        a_look(orders=[an_order_row(quantity=Decimal("0.2")), *PROTECTION]),
        a_look(orders=[an_order_row(), an_order_row(intent_id="twin"), *PROTECTION]),
    ],
    "intent_is_sent_at_most_once": [a_look(truth=with_orders(a_truth_order(order_id=9)))],
    "approval_is_used_at_most_once": [
        a_look(approvals=[]),
        a_look(approvals=[ApprovalRow(intent_id="entry", account="main", symbol="BTC/USDT", side="SELL")]),
        a_look(orders=[an_order_row(), an_order_row(client_order_id="second"), *PROTECTION]),
        a_look(orders=[an_order_row(), a_child_row(STOP, chain_id="nobody"), a_child_row(TAKE)]),
    ],
    "child_sells_no_more_than_its_entry_bought": [
        a_look(orders=[an_order_row(), a_child_row(STOP, filled_quantity=Decimal("0.10001")), a_child_row(TAKE)])
    ],
    "verdict_agrees_with_exchange": [
        a_look(orders=[an_order_row(status="ACCEPTED"), *PROTECTION]),
        a_look(orders=[an_order_row(filled_quantity=Decimal("0.05")), *PROTECTION]),
        a_look(orders=[an_order_row(status="ABANDONED", filled_quantity=Decimal(0)), *PROTECTION]),
        a_look(orders=[an_order_row(), a_child_row(STOP, status="CANCELED"), a_child_row(TAKE)]),
    ],
    "fill_is_recorded_once": [
        a_look(fills=[]),
        a_look(fills=[a_fill_row(price=Decimal(50_001))]),
        a_look(fills=[a_fill_row(), a_fill_row()]),
    ],
    "fill_is_booked_once": [a_look(booked_fills=[]), a_look(booked_fills=[a_fill_row(commission=Decimal(0))])],
    "fill_exists_at_exchange": [
        a_look(fills=[a_fill_row(), a_fill_row(trade_id=12)]),
        a_look(booked_fills=[a_fill_row(), a_fill_row(exchange_order_id="2", base_change=Decimal(0))]),
    ],
    "position_is_the_sum_of_its_fills": [a_look(positions=[replace(POSITION, quantity=Decimal("0.0998"))])],
    "balance_equals_exchange": [
        a_look(balances=[replace(books().balances[0], balance=Decimal("5000.00000001"))]),
        a_look(
            balances=[
                *books().balances,
                BalanceRow(account="main", asset="ETH", opening=Decimal(1), balance=Decimal(1)),
            ]
        ),
    ],
    "executor_ledger_equals_exchange": [
        a_look(executor_balances=[replace(books().balances[0], balance=Decimal("4999.99999999"))])
    ],
    "ledger_is_the_sum_of_its_entries": [
        a_look(executor_movements=[MovementRow(account="main", asset="USDT", delta=Decimal("0.01"))]),
        a_look(movements=[MovementRow(account="main", asset="BTC", delta=Decimal("-0.01"))]),
        a_look(fills=[]),
    ],
    "coins_from_before_are_untouched": [
        a_look(movements=[MovementRow(account="main", asset="BTC", delta=Decimal("0.01"))]),
        a_look(balances=[books().balances[0], replace(books().balances[1], opening=Decimal("0.06"))]),
    ],
    "locked_balance_is_explained": [
        a_look(truth=with_orders(a_leg(3, TAKE, locked=Decimal("0.0998")))),
    ],
    "position_is_protected": [
        without_stop_orders(),
        without_stop_orders(positions=[replace(POSITION, mark_price=None)]),
        a_look(truth=with_orders(a_leg(2, STOP, quantity=Decimal("0.05")), a_leg(3, TAKE, quantity=Decimal("0.05")))),
    ],
    "no_entry_is_accepted_after_a_halt": [
        a_look(truth=with_orders(LATE), halts=HALTED),
        a_look(truth=with_orders(LATE), halts=[a_halt(symbol="BTC/USDT")]),
    ],
    "no_entry_is_open_while_halted": [
        a_look(truth=with_orders(a_truth_order(status="NEW")), halts=[a_halt(strategy="ema_cross")])
    ],
    "event_is_in_the_audit_log": [a_look(recorded_offsets={}), a_look(recorded_offsets={("fills", 0): -1})],
}


@pytest.mark.parametrize(
    ("invariant", "look"), [(invariant, look) for invariant, looks in BREACHES.items() for look in looks]
)
def test_a_broken_invariant_is_found(invariant, look):
    assert invariant in broken(look)


def test_every_invariant_has_its_breach():
    assert set(BREACHES) == set(CHECKS)


def test_a_violation_names_the_order_and_both_sides():
    [violation] = [
        violation
        for tally in assess(a_look(positions=[replace(POSITION, quantity=Decimal("0.0998"))]))
        for violation in tally.violations
        if tally.invariant == "position_is_the_sum_of_its_fills"
    ]

    assert (violation.order, violation.expected, violation.found) == ("main BTC/USDT", "0.0999", "0.0998")


@pytest.mark.parametrize(
    ("invariant", "look"),
    [
        pytest.param(invariant, look, id=name)
        for name, invariant, look in [
            (
                "somebody else's order",
                "exchange_order_has_one_intent",
                a_look(truth=with_orders(a_truth_order(order_id=9, client_order_id="web_123"))),
            ),
            (
                "a position that just changed",
                "position_is_protected",
                without_stop_orders(positions=[replace(POSITION, updated_at=NOON + timedelta(seconds=58))]),
            ),
            (
                "less than the exchange would take",
                "position_is_protected",
                without_stop_orders(positions=[replace(POSITION, mark_price=Decimal(50))]),
            ),
            ("dust", "position_is_protected", without_stop_orders(positions=[replace(POSITION, is_open=False)])),
            (
                "another account's entry",
                "no_entry_is_accepted_after_a_halt",
                a_look(truth=with_orders(replace(LATE, account="other")), halts=HALTED),
            ),
            (
                "a halt of something else",
                "no_entry_is_accepted_after_a_halt",
                a_look(truth=with_orders(LATE), halts=[a_halt(symbol="ETH/USDT"), a_halt(strategy="other")]),
            ),
            (
                "a halt that was cleared",
                "no_entry_is_accepted_after_a_halt",
                a_look(truth=with_orders(LATE), halts=[a_halt(cleared_at=NOON + timedelta(seconds=31))]),
            ),
            (
                "an entry within the bound",
                "no_entry_is_accepted_after_a_halt",
                a_look(truth=with_orders(replace(LATE, accepted_at_ms=NOON_MS + 32_000)), halts=HALTED),
            ),
        ]
    ],
)
def test_what_is_no_breach_is_not_reported(invariant, look):
    assert invariant not in broken(look)


def test_a_fill_that_is_under_way_is_no_difference():
    after = with_orders(a_leg(3, TAKE, status="FILLED", executed_quantity=Decimal("0.0999"), locked=Decimal(0)))
    sale = a_truth_fill(
        trade_id=12,
        order_id=3,
        side="SELL",
        quantity=Decimal("0.0999"),
        price=Decimal(51_000),
        commission=Decimal("5.0949"),
        commission_asset="USDT",
    )
    after.fills[sale.key] = sale
    after.balances["main", "USDT"] = TruthBalance(Decimal("10089.8051"), Decimal(0))  # 5 000 + 5 094.9 - 5.0949
    after.balances["main", "BTC"] = TruthBalance(Decimal("0.05"), Decimal(0))

    assert broken(a_look(after=after)) == set()


def test_a_fill_of_an_unknown_symbol_under_way_is_left_out():
    after = a_truth()
    foreign = a_truth_fill(symbol="XRPUSDT", trade_id=40)
    after.fills[foreign.key] = foreign

    assert broken(a_look(after=after)) == set()


def test_fees_in_a_third_asset_may_lower_what_was_there_before():
    truth = a_truth()
    paid = a_truth_fill(commission=Decimal("0.01"), commission_asset="BNB")
    truth.fills = {paid.key: paid}
    truth.balances["main", "BNB"] = TruthBalance(Decimal("0.99"), Decimal(0))
    truth.balances["main", "BTC"] = TruthBalance(Decimal("0.0501"), Decimal("0.0999"))
    row = a_fill_row(commission=Decimal("0.01"), commission_asset="BNB", base_change=Decimal("0.1"))
    look = a_look(
        truth=truth,
        fills=[row],
        booked_fills=[row],
        positions=[replace(POSITION, quantity=Decimal("0.1"), mark_price=Decimal(49_999))],
        balances=[
            books().balances[0],
            replace(books().balances[1], balance=Decimal("0.15")),
            BalanceRow(account="main", asset="BNB", opening=Decimal(1), balance=Decimal("0.99")),
        ],
        executor_balances=[],
    )

    assert broken(look) == set()


def test_fills_from_before_the_journals_memory_are_not_judged():
    truth = a_truth()
    truth.history_from_ms = NOON_MS + 1

    assert broken(a_look(truth=truth, fills=[a_fill_row(), a_fill_row(trade_id=3)], executor_balances=[])) == set()


def test_an_entry_that_was_open_at_the_halt_and_is_cancelled_since_is_fine():
    before = with_orders(a_truth_order(status="NEW"))
    after = with_orders(a_truth_order(status="CANCELED", executed_quantity=Decimal("0.1")))
    look = a_look(truth=before, after=after, halts=HALTED)

    assert "no_entry_is_open_while_halted" not in broken(look)


def test_a_halt_is_given_the_time_of_its_sweep():
    look = a_look(
        truth=with_orders(a_truth_order(status="NEW")), halts=[a_halt(halted_at=NOON + timedelta(seconds=55))]
    )

    assert "no_entry_is_open_while_halted" not in broken(look)
