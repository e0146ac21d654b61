"""Every invariant by its name, in the order in which they are reported."""

from collections.abc import Callable, Mapping
from typing import Final

from libs.invariants.checks import audit, money, orders, safety
from libs.invariants.findings import Tally
from libs.invariants.records import Look

Check = Callable[[Look, Tally], None]

CHECKS: Final[Mapping[str, Check]] = {
    "exchange_order_has_one_intent": orders.exchange_order_has_one_intent,
    "intent_is_sent_at_most_once": orders.intent_is_sent_at_most_once,
    "approval_is_used_at_most_once": orders.approval_is_used_at_most_once,
    "child_sells_no_more_than_its_entry_bought": orders.child_sells_no_more_than_its_entry_bought,
    "verdict_agrees_with_exchange": orders.verdict_agrees_with_exchange,
    "fill_is_recorded_once": money.fill_is_recorded_once,
    "fill_is_booked_once": money.fill_is_booked_once,
    "fill_exists_at_exchange": money.fill_exists_at_exchange,
    "position_is_the_sum_of_its_fills": money.position_is_the_sum_of_its_fills,
    "balance_equals_exchange": money.balance_equals_exchange,
    "executor_ledger_equals_exchange": money.executor_ledger_equals_exchange,
    "ledger_is_the_sum_of_its_entries": money.ledger_is_the_sum_of_its_entries,
    "coins_from_before_are_untouched": money.coins_from_before_are_untouched,
    "locked_balance_is_explained": money.locked_balance_is_explained,
    "position_is_protected": safety.position_is_protected,
    "no_entry_is_accepted_after_a_halt": safety.no_entry_is_accepted_after_a_halt,
    "no_entry_is_open_while_halted": safety.no_entry_is_open_while_halted,
    "event_is_in_the_audit_log": audit.event_is_in_the_audit_log,
}


def assess(look: Look) -> list[Tally]:
    """Return what every check found."""
    tallies = []
    for name, check in CHECKS.items():
        tally = Tally(name)
        check(look, tally)
        tallies.append(tally)
    return tallies


__all__ = ["CHECKS", "Check", "assess"]
