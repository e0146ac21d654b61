"""Safety: positions are protected by orders at the exchange, and a halt stops entries in time (I5, I9)."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from libs.common.clock import epoch_ms
from libs.invariants.findings import Tally
from libs.invariants.records import HaltRow, Look, Truth, TruthOrder, exchange_symbol

NOTIONAL_MIN: Final = Decimal(5)
"""Binance takes no order below it, in the quote currency: so much of a position may stay unprotected."""
UNPROTECTED_MAX: Final = timedelta(seconds=5)
"""A position that changed lately may be between its fill and its protection, or between protection and exit."""
HALT_BOUND_MS: Final = 1_000
"""From a halt to the last entry sent, Kafka and Redis down (design, budgets); then comes the receive window."""
SWEEP: Final = timedelta(seconds=10)
"""In which the entries that were open at a halt are cancelled."""

_ENTRY: Final = "E"
_REDUCING: Final = frozenset({"P", "X", "L"})


def position_is_protected(look: Look, tally: Tally) -> None:
    """Every position that did not just change is covered by selling orders that stand at the exchange."""
    covered = (_covered(look.before), _covered(look.after))
    for position in look.books.positions:
        if not position.is_open or look.books.taken_at - position.updated_at < UNPROTECTED_MAX:
            continue
        key = (position.account, exchange_symbol(position.symbol))
        best = max(cover.get(key, Decimal(0)) for cover in covered)
        bare = position.quantity - best
        price = position.mark_price
        fine = best > 0 if price is None else bare * price < NOTIONAL_MIN
        name = f"{position.account} {position.symbol}"
        tally.expect(fine, name, expected=f"orders that sell {position.quantity:f}", found=f"orders that sell {best:f}")


def no_entry_is_accepted_after_a_halt(look: Look, tally: Tally) -> None:
    """The exchange accepted no entry later than the stated bound after a halt."""
    strategies = {(row.account, row.client_order_id): row.strategy for row in look.books.orders}
    entries = [order for order in look.after.orders.values() if order.role_letter == _ENTRY]
    for halt in look.books.halts:
        latest_ms = epoch_ms(halt.halted_at) + HALT_BOUND_MS + look.recv_window_ms
        cleared_ms = None if halt.cleared_at is None else epoch_ms(halt.cleared_at)
        for order in entries:
            if not _covers(halt, order, strategies):
                continue
            late = order.accepted_at_ms > latest_ms and (cleared_ms is None or order.accepted_at_ms < cleared_ms)
            tally.expect(
                not late,
                order.client_order_id,
                expected=f"no entry later than {latest_ms} ms while {halt.halt_id} is latched",
                found=f"accepted at {order.accepted_at_ms} ms",
            )


def no_entry_is_open_while_halted(look: Look, tally: Tally) -> None:
    """No entry rests at the exchange once a halt has swept them."""
    strategies = {(row.account, row.client_order_id): row.strategy for row in look.books.orders}
    for halt in look.books.halts:
        if halt.cleared_at is not None or look.books.taken_at - halt.halted_at < SWEEP:
            continue
        for order in look.before.orders.values():
            if order.role_letter == _ENTRY and _covers(halt, order, strategies):
                still = look.after.orders[order.order_id]
                tally.expect(not still.is_open, order.client_order_id, expected="cancelled", found=still.status)


def _covers(halt: HaltRow, order: TruthOrder, strategies: Mapping[tuple[str, str], str]) -> bool:
    if halt.account != order.account:
        return False
    if halt.symbol is not None and exchange_symbol(halt.symbol) != order.symbol:
        return False
    return halt.strategy is None or strategies.get((order.account, order.client_order_id)) == halt.strategy


def _covered(truth: Truth) -> dict[tuple[str, str], Decimal]:
    """Return what open orders of ours would sell, by account and symbol; the legs of a list sell once."""
    legs: defaultdict[tuple[str, str], dict[object, Decimal]] = defaultdict(dict)
    for order in truth.orders.values():
        if order.is_open and order.side == "SELL" and order.role_letter in _REDUCING:
            group: object = ("list", order.order_list_id) if order.order_list_id >= 0 else order.order_id
            lots = legs[order.account, order.symbol]
            lots[group] = max(lots.get(group, Decimal(0)), order.quantity - order.executed_quantity)
    return {key: sum(lots.values(), Decimal(0)) for key, lots in legs.items()}
