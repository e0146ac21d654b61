"""Orders: what stands at the exchange is exactly what was decided (I1, I4, I12 of the reliability rules)."""

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Final

from libs.invariants.findings import Tally
from libs.invariants.records import Look, OrderRow, Truth, TruthOrder, exchange_symbol

ClientId = tuple[str, str]

_ENDED: Final = {
    "FILLED": "FILLED",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
    "EXPIRED_IN_MATCH": "EXPIRED",
    "REJECTED": "REJECTED",
}
"""The exchange's final states and ours."""
_NEVER_AT_THE_EXCHANGE: Final = frozenset({"ABANDONED", "REJECTED"})
_EXECUTED_AND_ENDED: Final = frozenset({"FILLED", "CANCELED", "EXPIRED"})


def exchange_order_has_one_intent(look: Look, tally: Tally) -> None:
    """Every order of ours at the exchange is recorded once, as it was sent."""
    rows = _rows(look)
    for order in _ours(look.before):
        found = rows[order.account, order.client_order_id]
        if tally.expect(len(found) == 1, order.client_order_id, expected="one intent", found=len(found)):
            _compare(tally, order, found[0])


def _compare(tally: Tally, order: TruthOrder, row: OrderRow) -> None:
    sent = (order.symbol, order.side, order.quantity)
    intended = (exchange_symbol(row.symbol), row.side, row.quantity)
    tally.expect(sent == intended, order.client_order_id, expected=_order_text(*intended), found=_order_text(*sent))


def intent_is_sent_at_most_once(look: Look, tally: Tally) -> None:
    """No client order id of ours stands at the exchange twice: the exchange itself would allow it."""
    for (_, client_id), count in Counter((o.account, o.client_order_id) for o in _ours(look.after)).items():
        tally.expect(count == 1, client_id, expected="one order", found=f"{count} orders")


def approval_is_used_at_most_once(look: Look, tally: Tally) -> None:
    """Every approved intent has its one approval, every child its parent."""
    approvals = Counter((row.intent_id, row.account, row.symbol, row.side) for row in look.books.approvals)
    intents = Counter(row.intent_id for row in look.books.orders)
    for row in look.books.orders:
        tally.expect(
            intents[row.intent_id] == 1, row.client_order_id, expected="one order", found=intents[row.intent_id]
        )
        if row.approved:
            count = approvals[row.intent_id, row.account, row.symbol, row.side]
            tally.expect(count == 1, row.client_order_id, expected="one approval", found=f"{count} approvals")
        else:
            tally.expect(row.chain_id in intents, row.client_order_id, expected=f"parent {row.chain_id}", found="none")


def child_sells_no_more_than_its_entry_bought(look: Look, tally: Tally) -> None:
    """What was sold of a position never exceeds what its entry bought and the dust that it took over.

    And over all positions of a symbol nothing was sold that was not bought, wherever the dust went.
    """
    bought: defaultdict[str, Decimal] = defaultdict(Decimal)
    sold: defaultdict[str, Decimal] = defaultdict(Decimal)
    carried = {row.chain_id: row.carried for row in look.books.orders}
    for row in look.books.orders:
        total = bought if row.side == "BUY" else sold
        total[row.chain_id] += row.filled_quantity
        total[f"{row.account} {row.symbol}"] += row.filled_quantity
    for place, quantity in sold.items():
        most = bought[place] + carried.get(place, Decimal(0))
        tally.expect(quantity <= most, place, expected=f"at most {most} sold", found=quantity)


def verdict_agrees_with_exchange(look: Look, tally: Tally) -> None:
    """What we hold for final is final at the exchange too, and the other way round."""
    rows = _rows(look)
    for order in _ours(look.before):
        for row in rows[order.account, order.client_order_id]:
            if order.status in _ENDED:
                expected = (_ENDED[order.status], order.executed_quantity)
                found = (row.status, row.filled_quantity)
                tally.expect(found == expected, order.client_order_id, expected=_state(*expected), found=_state(*found))
    orders = {(order.account, order.client_order_id): order for order in _ours(look.after)}
    for row in look.books.orders:
        standing = orders.get((row.account, row.client_order_id))
        if standing is None:
            continue
        if row.status in _NEVER_AT_THE_EXCHANGE:
            tally.expect(
                standing.status == "REJECTED",
                row.client_order_id,
                expected=f"no order ({row.status})",
                found=standing.status,
            )
        elif row.status in _EXECUTED_AND_ENDED:
            expected = (row.status, row.filled_quantity)
            found = (_ENDED.get(standing.status, standing.status), standing.executed_quantity)
            tally.expect(found == expected, row.client_order_id, expected=_state(*expected), found=_state(*found))


def _rows(look: Look) -> defaultdict[ClientId, list[OrderRow]]:
    rows: defaultdict[ClientId, list[OrderRow]] = defaultdict(list)
    for row in look.books.orders:
        rows[row.account, row.client_order_id].append(row)
    return rows


def _ours(truth: Truth) -> list[TruthOrder]:
    return [order for order in truth.orders.values() if order.is_ours]


def _order_text(symbol: str, side: str, quantity: Decimal) -> str:
    return f"{side} {quantity:f} {symbol}"


def _state(status: str, quantity: Decimal) -> str:
    return f"{status}, {quantity.normalize():f} executed"
