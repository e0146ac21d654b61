"""What the model of the order protocol can be in: the books, the exchange, the processes, in units of one tick.

The model's orders execute as soon as the exchange has them: the worst for exposure, and the reason why the exchange
takes the same client id again. Names are those of the executor, so that each step can be found there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeVar

from libs.trading.orders import OrderStatus

Item = TypeVar("Item")

NEVER = -1
ADOPTED = OrderStatus.FILLED
"""What the books say of an order once they have it from the exchange."""


class Actor(IntEnum):
    """Who does something, or waits for an answer."""

    NOBODY = 0
    OWNER = 1
    ZOMBIE = 2  # the frozen predecessor, which acts again whenever it likes


class Doing(IntEnum):
    """What a process has in mind about an order; a crash forgets it."""

    NOTHING = 0
    APPROVAL_READ = 1  # within the transaction of `Approvals.on_approved`
    SEND_QUEUED = 2  # the errand that the commit put down
    LAST_HOP_PASSED = 3
    OBJECTED = 4
    AWAITING = 5  # the request has left
    RESENDING = 6  # what the protocol never does
    ACCEPTED = 7  # an answer or a query said so; to be written down
    REFUSED = 8  # an allow-listed refusal; to be written down
    WATCHING = 9  # in the `Resolver`
    GIVING_UP = 10  # found to be absent; to be written down


class Stage(IntEnum):
    """Where a request is."""

    NETWORK = 0  # before the gateway, for as long as it likes
    ENGINE = 1  # past the gateway's check of the receive window
    ACCEPTED = 2  # the answer is under way
    REFUSED = 3


class Row(NamedTuple):
    """One order in `order_intents` and `orders`; `age` is the exchange's time since `signed_at_ms`."""

    status: OrderStatus
    age: int
    quarantine_age: int = NEVER
    released: bool = False
    alarmed: bool = False
    protected: bool = False


class Request(NamedTuple):
    """A request to place the orders of a group; `age` since it was signed, `engine_age` since it was passed on."""

    group: int
    sender: Actor
    age: int
    stage: Stage = Stage.NETWORK
    engine_age: int = 0


class Truth(NamedTuple):
    """What the exchange has of an order, whoever knows it.

    `accepted` counts; `shown_age` is the time since the first; `late` says that it took longer than the exchange ever
    does, and `told` that the books had it once.
    """

    accepted: int = 0
    shown_age: int = 0
    late: bool = False
    told: bool = False


class Task(NamedTuple):
    """What a process does about an order, with the answers that it counted."""

    doing: Doing = Doing.NOTHING
    not_founds: int = 0
    answer_pending: bool = False  # "not found" was answered and has not arrived
    resends: int = 0


class State(NamedTuple):
    """Everything."""

    approved: tuple[bool, ...]
    rows: tuple[Row | None, ...]
    requests: tuple[Request, ...]
    truths: tuple[Truth, ...]
    owner: tuple[Task, ...]
    zombie: tuple[Task, ...] | None
    crashes_left: int
    freezes_left: int
    clock_steps_left: int
    clock_stepped: bool = False


@dataclass(frozen=True)
class Setting:
    """What is searched: how many approvals, of how many orders each, and what may go wrong.

    Args:
        groups: The orders of each request; more than one are the legs of a list.
        cap: How many groups may be at risk at once.
        crashes: Of the owner, each followed by a start.
        freezes: Of the owner, each followed by a takeover.
        clock_steps: Of the host's clock, ahead.
        bounded: Whether the exchange either has an order within its time-out or never.
    """

    groups: tuple[tuple[int, ...], ...] = ((0,),)
    cap: int = 1
    crashes: int = 2
    freezes: int = 1
    clock_steps: int = 1
    bounded: bool = True

    def initial(self) -> State:
        """Return the state in which only the approvals can come."""
        orders = sum(len(group) for group in self.groups)
        return State(
            approved=(False,) * len(self.groups),
            rows=(None,) * orders,
            requests=(),
            truths=(Truth(),) * orders,
            owner=(Task(),) * orders,
            zombie=None,
            crashes_left=self.crashes,
            freezes_left=self.freezes,
            clock_steps_left=self.clock_steps,
        )


def at(items: Sequence[Item], index: int, item: Item) -> tuple[Item, ...]:
    """Return the items with another one at a place."""
    return (*items[:index], item, *items[index + 1 :])


def is_unresolved(row: Row) -> bool:
    """Mirror `ExecutorOrder.is_unresolved`: it may be at the exchange, and nobody knows."""
    if row.status is OrderStatus.QUARANTINED:
        return not row.released
    return row.status in {OrderStatus.PREPARED, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN}


def claims(row: Row | None, *, counts_unknown: bool = True) -> bool:
    """Mirror `Claim`: an approved order counts until a final answer says that nothing came of it."""
    if row is None or row.status is ADOPTED:
        return True
    if not counts_unknown and row.status is OrderStatus.UNKNOWN:
        return False
    return not (row.released or row.status.is_terminal)


def claimed(state: State, setting: Setting, *, counts_unknown: bool = True) -> int:
    """Return how many groups the books count as at risk."""
    return sum(
        claims(state.rows[group[0]], counts_unknown=counts_unknown)
        for group, approved in zip(setting.groups, state.approved, strict=True)
        if approved
    )


def late_fills(state: State, setting: Setting) -> int:
    """Return how many groups the exchange took later than it ever does."""
    return sum(state.truths[group[0]].late for group in setting.groups)


def at_risk(state: State, setting: Setting) -> int:
    """Return how many groups are at risk at the exchange."""
    return sum(state.truths[group[0]].accepted > 0 for group in setting.groups)
