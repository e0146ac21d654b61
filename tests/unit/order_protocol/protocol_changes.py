"""Changes of the model's state that several steps make."""

from libs.trading.orders import OrderStatus
from tests.unit.order_protocol.protocol_state import ADOPTED, Actor, Doing, Request, Row, Stage, State, Task, at

NOT_A_REPLY = -1
"""Marks an acceptance that a query found, which speaks of one order and not of its list."""


def with_task(state: State, who: Actor, order: int, task: Task) -> State:
    """Return the state in which a process has another task about an order."""
    if who is Actor.OWNER:
        return state._replace(owner=at(state.owner, order, task))
    return state._replace(zombie=at(state.zombie or (), order, task))


def tasked(state: State, who: Actor, order: int, doing: Doing) -> State:
    """Return the state in which a process begins with something about an order."""
    return with_task(state, who, order, Task(doing))


def raised(row: Row, status: OrderStatus) -> Row:
    """Mirror `ExecutorOrder.ended`: the exchange's word stays where it says more."""
    return row._replace(status=status) if status.rank > row.status.rank else row


def adopted(state: State, order: int) -> State:
    """Return the state in which the books have the exchange's word of an order; one given up is alarmed."""
    row = state.rows[order] or Row(OrderStatus.PREPARED, 0)
    known = row._replace(status=ADOPTED, alarmed=row.alarmed or row.status is OrderStatus.QUARANTINED)
    return state._replace(
        rows=at(state.rows, order, known), truths=at(state.truths, order, state.truths[order]._replace(told=True))
    )


def without(state: State, request: Request) -> State:
    """Return the state without a request."""
    remaining = list(state.requests)
    remaining.remove(request)
    return state._replace(requests=tuple(remaining))


def disowned(state: State, who: Actor, order: int) -> State:
    """Return the state in which nobody waits for an order's requests any more."""
    return state._replace(
        requests=tuple(
            sorted(
                request._replace(sender=Actor.NOBODY) if (request.group, request.sender) == (order, who) else request
                for request in state.requests
                if (request.group, request.sender) != (order, who) or request.stage < Stage.ACCEPTED
            )
        )
    )
