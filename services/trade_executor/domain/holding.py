"""The proof that a sale sells nothing but what its entry bought.

Knight Capital's router lost count of what its parent orders had received and went on sending children (SEC order
34-70694, paragraphs 14 and 21). Here the count is made anew of the recorded executions, where the order leaves.
"""

from decimal import Decimal
from typing import Final

from libs.trading.money import exact, plain
from libs.trading.risk import RefusalReason, Refused
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.orders import ExecutorOrder

_ZERO: Final = Decimal(0)


def sale_is_within_holding(order: ExecutorOrder, chain: Chain) -> Refused | None:
    """What the chain's executions left covers this sale, after all others that have sold or may still sell.

    Args:
        order: A sale about to be sent; the legs of a list sell their quantity once.
        chain: Its chain as it is recorded now.
    """
    with exact():
        left = chain.held - _claimed_by_others(order, chain)
    if order.quantity <= left:
        return None
    return Refused(RefusalReason.SALE_EXCEEDS_HOLDING, f"at most {plain(left)}", plain(order.quantity))


def _claimed_by_others(order: ExecutorOrder, chain: Chain) -> Decimal:
    """Return what other sells may still take, and what they took without a recorded execution."""
    claimed: dict[str, Decimal] = {}
    for other in chain.sells:
        if _request(other) == _request(order):
            continue
        unrecorded = max(other.filled_quantity - chain.totals(other.intent_id).quantity, _ZERO)
        may_sell = other.remaining if other.is_working or other.is_unresolved else _ZERO
        if other.list_client_order_id is not None and may_sell:
            legs = [leg for leg in chain.sells if leg.list_client_order_id == other.list_client_order_id]
            may_sell = other.quantity - sum((leg.filled_quantity for leg in legs), _ZERO)
        name = _request(other)
        claimed[name] = max(claimed.get(name, _ZERO), may_sell + unrecorded)
    return sum(claimed.values(), _ZERO)


def _request(order: ExecutorOrder) -> str:
    return order.list_client_order_id or order.client_order_id
