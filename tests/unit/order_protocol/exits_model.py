"""The exit of a protected position as a model: cancel the list, learn what became of it, sell what remains.

What a sent order came to is learnt here when nothing of it is under way any more; that this can be known is what the
model of single orders shows. Of the account's coins `HELD` are the position's; whatever is sold beyond is the user's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

HELD: Final = 2
SALES_MAX: Final = 3
CRASHES, FREEZES = 2, 1

Label = tuple[object, ...]
Steps = Iterator[tuple[Label, "Exit"]]


class Doing(IntEnum):
    """What a process is in the middle of."""

    NOTHING = 0
    CANCELLING = 1  # the cancel has left
    DECIDED = 2  # to sell, by the books as they were read; to be recorded
    SELLING = 3  # the sale is recorded and passed the last hop


class Listed(NamedTuple):
    """The protective list: whether it still works, and what its legs sold."""

    is_open: bool = True
    sold: int = 0


class Sale(NamedTuple):
    """A sale at the market: `is_fresh` within its receive window, `is_under_way` before the engine decided."""

    quantity: int
    is_fresh: bool = True
    is_under_way: bool = False
    executed: int = 0
    known: int | None = None  # what the books have of it; None: unresolved


class Process(NamedTuple):
    """A process: what it does, the quantity that it decided on, and which sale it recorded."""

    doing: Doing = Doing.NOTHING
    quantity: int = 0
    number: int = 0


class Exit(NamedTuple):
    """Everything: the list and what the books have of it, the sales, a cancel under way, the processes."""

    listed: Listed = Listed()
    known: Listed = Listed()
    sales: tuple[Sale, ...] = ()
    cancel_under_way: bool = False
    owner: Process = Process()
    zombie: Process | None = None
    crashes_left: int = CRASHES
    freezes_left: int = FREEZES


@dataclass(frozen=True)
class ExitPolicy:
    """The protocol, and a place for each mistake.

    Args:
        waits_for_final: Whether a sale waits until the list's final state is known.
        gone_is_canceled: Whether "unknown order" is taken for a success.
        sells_remainder: Whether a sale is of what remains, fills of the list included.
        resends: Whether an unanswered sale is made again.
        epoch_guard: Whether the books refuse what a predecessor writes.
    """

    waits_for_final: bool = True
    gone_is_canceled: bool = False
    sells_remainder: bool = True
    resends: bool = False
    epoch_guard: bool = True


PLANTED: Final = {
    "a sale before the list's final state": ExitPolicy(waits_for_final=False),
    "'unknown order' taken for canceled": ExitPolicy(gone_is_canceled=True),
    "a sale of what was held before": ExitPolicy(sells_remainder=False),
    "an unanswered sale made again": ExitPolicy(resends=True),
    "writes without the epoch": ExitPolicy(epoch_guard=False),
}


@dataclass(frozen=True)
class ExitModel:
    """The steps of an exit under a policy."""

    policy: ExitPolicy = ExitPolicy()

    def steps(self, state: Exit) -> Steps:
        """Yield everything that can happen next."""
        yield from self._exchange(state)
        yield from self._learn(state)
        yield from self._act(state, state.owner, is_owner=True)
        if state.zombie is not None:
            yield from self._act(state, state.zombie, is_owner=False)
        if state.crashes_left:
            yield ("owner crashes",), state._replace(owner=Process(), crashes_left=state.crashes_left - 1)
        if state.freezes_left:
            frozen = state._replace(zombie=state.owner, owner=Process(), freezes_left=state.freezes_left - 1)
            yield ("owner freezes, a successor takes the epoch",), frozen

    @staticmethod
    def wrong(state: Exit) -> str | None:
        """Return what is wrong with a state."""
        sold = state.listed.sold + sum(sale.executed for sale in state.sales)
        return "more sold than held" if sold > HELD else None

    @staticmethod
    def is_settled(state: Exit) -> bool:
        """Whether the position is closed, and the books know all of it."""
        known = state.known.sold + sum(sale.known or 0 for sale in state.sales)
        unresolved = any(sale.known is None for sale in state.sales)
        out_of_sales = len(state.sales) == SALES_MAX
        return state.known == state.listed and not unresolved and (known == HELD or out_of_sales)

    def _exchange(self, state: Exit) -> Steps:
        if state.listed.is_open:
            sold = state.listed.sold + 1
            executed = Listed(sold < HELD, sold)
            yield ("a leg executes one",), state._replace(listed=executed)
        if state.cancel_under_way:
            canceled = state._replace(listed=state.listed._replace(is_open=False), cancel_under_way=False)
            yield ("the exchange cancels, if it still can",), canceled
            yield ("the cancel is lost",), state._replace(cancel_under_way=False)
        for number, sale in enumerate(state.sales):
            if sale.is_under_way:
                for executed_quantity in range(sale.quantity + 1):
                    done = sale._replace(is_under_way=False, executed=sale.executed + executed_quantity)
                    yield ("sale", number, "executes", executed_quantity), _with_sale(state, number, done)
            if sale.is_fresh:
                yield ("the window closes for sale", number), _with_sale(state, number, sale._replace(is_fresh=False))

    def _learn(self, state: Exit) -> Steps:
        """The owner hears of the list and, once a sale is decided for good, of the sale."""
        if state.known != state.listed:
            yield ("owner learns of the list",), state._replace(known=state.listed)
        for number, sale in enumerate(state.sales):
            if sale.known is None and not sale.is_fresh and not sale.is_under_way:
                yield ("owner resolves sale", number), _with_sale(state, number, sale._replace(known=sale.executed))

    def _act(self, state: Exit, process: Process, *, is_owner: bool) -> Steps:
        who = "owner" if is_owner else "zombie"
        match process.doing:
            case Doing.NOTHING:
                yield from self._plan(state, who, is_owner=is_owner)
            case Doing.CANCELLING:
                yield from self._hear(state, who, is_owner=is_owner)
            case Doing.DECIDED if not is_owner and self.policy.epoch_guard:
                yield ("the books refuse the predecessor's sale",), state._replace(zombie=None)
            case Doing.DECIDED if len(state.sales) < SALES_MAX:
                recorded = state._replace(sales=(*state.sales, Sale(process.quantity)))
                selling = Process(Doing.SELLING, number=len(state.sales))
                yield (who, "records a sale of", process.quantity), _does(recorded, selling, is_owner=is_owner)
            case Doing.SELLING:
                number = process.number
                sale = state.sales[number]
                # After the window the gateway refuses; a repetition is signed anew.
                sent = sale._replace(is_under_way=sale.is_fresh or self.policy.resends)
                following = process if self.policy.resends else Process()
                yield (who, "sends sale", number), _does(_with_sale(state, number, sent), following, is_owner=is_owner)
            case _:
                return

    def _plan(self, state: Exit, who: str, *, is_owner: bool) -> Steps:
        """Decide by the books alone (`next_step`)."""
        if any(sale.known is None for sale in state.sales):
            return
        if state.known.is_open:
            asked = state._replace(cancel_under_way=True)
            yield (who, "cancels the list"), _does(asked, Process(Doing.CANCELLING), is_owner=is_owner)
            return
        yield from self._decide(state, who, is_owner=is_owner)

    def _hear(self, state: Exit, who: str, *, is_owner: bool) -> Steps:
        """Whatever the answer is, the list is asked for; only its final state goes on."""
        if not self.policy.waits_for_final:
            yield from self._decide(state, who, is_owner=is_owner)
        if self.policy.gone_is_canceled and not state.listed.is_open:
            canceled = state._replace(known=state.known._replace(is_open=False))
            yield (who, "takes 'unknown order' for canceled"), _does(canceled, Process(), is_owner=is_owner)
        yield (who, "hears nothing of the cancel"), _does(state, Process(), is_owner=is_owner)

    def _decide(self, state: Exit, who: str, *, is_owner: bool) -> Steps:
        sold = state.known.sold + sum(sale.known or 0 for sale in state.sales)
        quantity = HELD - (sold if self.policy.sells_remainder else 0)
        if sold < HELD and quantity > 0:
            decided = Process(Doing.DECIDED, quantity)
            yield (who, "decides to sell", quantity), _does(state, decided, is_owner=is_owner)


def _does(state: Exit, process: Process, *, is_owner: bool) -> Exit:
    return state._replace(owner=process) if is_owner else state._replace(zombie=process)


def _with_sale(state: Exit, number: int, sale: Sale) -> Exit:
    return state._replace(sales=(*state.sales[:number], sale, *state.sales[number + 1 :]))
