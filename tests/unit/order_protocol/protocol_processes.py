"""What the owner, and a predecessor that thaws, may do next: one function for each thing that a process can be doing.

A step ends where a crash or a freeze could make a difference: at a commit, at a send, at an answer.
"""

from collections.abc import Iterator

from libs.trading.orders import OrderStatus
from tests.unit.order_protocol.protocol_changes import (
    NOT_A_REPLY,
    adopted,
    disowned,
    raised,
    tasked,
    with_task,
    without,
)
from tests.unit.order_protocol.protocol_policies import OnSilence, Policy
from tests.unit.order_protocol.protocol_state import (
    ADOPTED,
    Actor,
    Doing,
    Request,
    Row,
    Setting,
    Stage,
    State,
    Task,
    at,
    is_unresolved,
)

Label = tuple[object, ...]
Steps = Iterator[tuple[Label, State]]

RESENDS_MAX = 1
REQUESTS_MAX = 2
"""A policy that sends again and again is bounded here: two orders are wrong already."""


class Processes:
    """The steps of the processes under a policy."""

    def __init__(self, setting: Setting, policy: Policy) -> None:
        self._setting = setting
        self._policy = policy
        self._group_of = {order: group for group in setting.groups for order in group}
        self._steps = {
            Doing.APPROVAL_READ: self._record if policy.records_first else self._send,
            Doing.SEND_QUEUED: self._look,
            Doing.LAST_HOP_PASSED: self._send,
            Doing.OBJECTED: self._abandon,
            Doing.AWAITING: self._hear,
            Doing.RESENDING: self._send,
            Doing.ACCEPTED: self._adopt,
            Doing.REFUSED: self._refuse,
            Doing.WATCHING: self._ask,
            Doing.GIVING_UP: self._give_up,
        }

    def steps(self, state: State) -> Steps:
        """Yield what either process may do."""
        for group, approved in zip(self._setting.groups, state.approved, strict=True):
            leader = group[0]
            if approved and state.rows[leader] is None and state.owner[leader].doing is Doing.NOTHING:
                yield ("owner reads the approval of", leader), tasked(state, Actor.OWNER, leader, Doing.APPROVAL_READ)
        yield from self._of(state, Actor.OWNER, state.owner)
        if state.zombie is not None:
            yield from self._of(state, Actor.ZOMBIE, state.zombie)
        yield from self._keep(state)

    def restarted(self, state: State) -> State:
        """Return the state with an owner that knows only the books (`Recovery.register_unknown`)."""
        rows, tasks = list(state.rows), [Task()] * len(state.rows)
        for order, row in enumerate(state.rows):
            if row is None or not is_unresolved(row):
                continue
            if self._policy.start_abandons and row.status is OrderStatus.PREPARED:
                rows[order] = row._replace(status=OrderStatus.ABANDONED)
            elif self._policy.on_silence is OnSilence.RESEND:
                tasks[order] = Task(Doing.RESENDING)
            else:
                rows[order] = raised(row, OrderStatus.UNKNOWN)
                tasks[order] = Task(Doing.WATCHING)
        return state._replace(rows=tuple(rows), owner=tuple(tasks))

    def _of(self, state: State, who: Actor, tasks: tuple[Task, ...]) -> Steps:
        for order, task in enumerate(tasks):
            if task.doing is not Doing.NOTHING:
                yield from self._steps[task.doing](state, who, order, task)

    def _writes(self, who: Actor) -> bool:
        return who is Actor.OWNER or not self._policy.epoch_guard

    def _record(self, state: State, who: Actor, order: int, _: Task) -> Steps:
        """Commit the intents of a request, signed with a time that may be ahead of the exchange's."""
        if not self._writes(who):
            yield ("the books refuse the predecessor's intent of", order), state._replace(zombie=None)
        elif state.rows[order] is not None and who is Actor.OWNER:
            yield ("owner finds the intent recorded of", order), tasked(state, who, order, Doing.NOTHING)
        else:
            for age in (-self._policy.timing.clock_error, 0):
                rows = state.rows
                for leg in self._group_of[order]:
                    rows = at(rows, leg, Row(OrderStatus.PREPARED, age))
                recorded = state._replace(rows=rows)
                yield (
                    (who, "records the intent, signed at", age, "of", order),
                    tasked(recorded, who, order, Doing.SEND_QUEUED),
                )

    def _look(self, state: State, who: Actor, order: int, _: Task) -> Steps:
        """Take the last look (`LastHop`): it may object at any time, and does when the signature is not fresh."""
        row = state.rows[order]
        if row is not None and row.age <= 0:
            yield (who, "passes the last hop with", order), tasked(state, who, order, Doing.LAST_HOP_PASSED)
        yield (who, "objects to", order), tasked(state, who, order, Doing.OBJECTED)

    def _send(self, state: State, who: Actor, order: int, task: Task) -> Steps:
        """Let the request leave; what is sent again is signed again."""
        row = state.rows[order]
        if len(state.requests) >= REQUESTS_MAX * len(self._setting.groups):
            return
        age = row.age if row is not None and task.doing is Doing.LAST_HOP_PASSED else 0
        requests = tuple(sorted((*state.requests, Request(order, who, age))))
        yield (
            (who, "sends", order),
            with_task(state._replace(requests=requests), who, order, Task(Doing.AWAITING, resends=task.resends)),
        )

    def _abandon(self, state: State, who: Actor, order: int, _: Task) -> Steps:
        """Write down that the order was not sent, which only the process that would have sent it can know."""
        yield from self._end(state, who, order, OrderStatus.ABANDONED)

    def _refuse(self, state: State, who: Actor, order: int, _: Task) -> Steps:
        """Write down a refusal that proves something."""
        yield from self._end(state, who, order, OrderStatus.NOT_ACCEPTED)

    def _end(self, state: State, who: Actor, order: int, status: OrderStatus) -> Steps:
        if not self._writes(who):
            yield ("the books refuse the predecessor's result of", order), state._replace(zombie=None)
            return
        rows = state.rows
        for leg in self._group_of[order]:
            row = state.rows[leg] or Row(OrderStatus.PREPARED, 0)
            rows = at(rows, leg, raised(row, status))
        yield (who, "writes", status, "for", order), tasked(state._replace(rows=rows), who, order, Doing.NOTHING)

    def _hear(self, state: State, who: Actor, order: int, task: Task) -> Steps:
        """Take the answer, or give up waiting for it: a time-out, a cut, half a body, a 5xx."""
        for request in state.requests:
            if request.group == order and request.sender is who and request.stage >= Stage.ACCEPTED:
                heard = Doing.ACCEPTED if request.stage is Stage.ACCEPTED else Doing.REFUSED
                remaining = without(state, request)
                yield (who, "hears", request.stage, "of", order), tasked(remaining, who, order, heard)
        unheard = disowned(state, who, order)
        match self._policy.on_silence:
            case OnSilence.SEND_ANEW:
                yield (who, "hears nothing of", order), tasked(unheard, who, order, Doing.NOTHING)
            case OnSilence.RESEND if task.resends < RESENDS_MAX:
                again = Task(Doing.RESENDING, resends=task.resends + 1)
                yield (who, "hears nothing of", order), with_task(unheard, who, order, again)
            case OnSilence.RESEND:
                return
            case _ if not self._writes(who):
                yield ("the books refuse the predecessor's unknown", order), state._replace(zombie=None)
            case _:
                for leg in self._group_of[order]:
                    row = unheard.rows[leg]
                    if row is not None:
                        unheard = unheard._replace(rows=at(unheard.rows, leg, raised(row, OrderStatus.UNKNOWN)))
                        unheard = tasked(unheard, who, leg, Doing.WATCHING)
                yield (who, "hears nothing of", order), unheard

    def _ask(self, state: State, who: Actor, order: int, task: Task) -> Steps:
        """Ask for an order; the answer may be old when it arrives (`Resolver._ask`)."""
        truth, row = state.truths[order], state.rows[order]
        if truth.accepted:
            yield (who, "finds", order), with_task(state, who, order, Task(Doing.ACCEPTED, not_founds=NOT_A_REPLY))
        hidden = not truth.accepted or truth.shown_age < self._policy.timing.query_lag
        if hidden and not task.answer_pending:
            yield (
                (who, "is answered 'not found' for", order),
                with_task(state, who, order, task._replace(answer_pending=True)),
            )
        if task.answer_pending and row is not None:
            counted = task._replace(answer_pending=False)
            if self._counts(state, row):
                counted = counted._replace(not_founds=task.not_founds + 1)
            if self._policy.on_silence is OnSilence.QUERY_THEN_RESEND:
                counted = Task(Doing.RESENDING) if task.resends < RESENDS_MAX else counted
            elif counted.not_founds >= self._policy.not_founds:
                counted = Task(Doing.GIVING_UP)
            yield (who, "hears 'not found' of", order), with_task(state, who, order, counted)

    def _counts(self, state: State, row: Row) -> bool:
        if self._policy.on_silence is not OnSilence.WAIT_FOR_FENCE:
            return True
        if self._policy.fence_by_host_clock and state.clock_stepped:
            return True
        return row.age >= self._policy.passes_fence_after

    def _give_up(self, state: State, who: Actor, order: int, _: Task) -> Steps:
        """Quarantine an order, or release it when its minute, by the host's clock, is over (`Resolver._give_up`).

        A predecessor that nothing guards against writes what it decided before it froze.
        """
        row = state.rows[order]
        if not self._writes(who):
            yield ("the books refuse the predecessor's verdict on", order), state._replace(zombie=None)
        elif row is None or (who is Actor.OWNER and not is_unresolved(row)):
            yield (who, "finds settled", order), tasked(state, who, order, Doing.NOTHING)
        elif not self._policy.quarantines:
            given_up = state._replace(rows=at(state.rows, order, row._replace(status=OrderStatus.NOT_ACCEPTED)))
            yield (who, "gives up", order), tasked(given_up, who, order, Doing.NOTHING)
        elif row.status is not OrderStatus.QUARANTINED:
            quarantined = row._replace(status=OrderStatus.QUARANTINED, quarantine_age=0)
            watching = Task(Doing.WATCHING, not_founds=self._policy.not_founds - 1)
            state = state._replace(rows=at(state.rows, order, quarantined))
            yield (who, "quarantines", order), with_task(state, who, order, watching)
        elif row.quarantine_age >= self._policy.timing.quarantine or state.clock_stepped:
            released = state._replace(rows=at(state.rows, order, row._replace(released=True)))
            yield (who, "releases", order), tasked(released, who, order, Doing.NOTHING)
        else:
            watching = Task(Doing.WATCHING, not_founds=self._policy.not_founds - 1)
            yield (who, "holds", order), with_task(state, who, order, watching)

    def _adopt(self, state: State, who: Actor, order: int, task: Task) -> Steps:
        """Merge the exchange's word into the books (`Bookkeeper.report`); the answer to a list tells of all legs."""
        if not self._writes(who):
            yield ("the books refuse the predecessor's report of", order), state._replace(zombie=None)
            return
        legs = (order,) if task.not_founds == NOT_A_REPLY else self._group_of[order]
        for leg in legs:
            state = adopted(state, leg)
        yield (who, "adopts", order), tasked(state, who, order, Doing.NOTHING)

    def _keep(self, state: State) -> Steps:
        """What the owner does beside: hear the user stream, read trades, protect, forget what was watched for a day."""
        for order, row in enumerate(state.rows):
            if row is None:
                continue
            if state.truths[order].accepted and row.status is not ADOPTED:
                yield ("owner learns from the stream of", order), adopted(state, order)
            if row.status is ADOPTED and not row.protected:
                yield (
                    ("owner protects", order),
                    state._replace(rows=at(state.rows, order, row._replace(protected=True))),
                )
            leader = self._group_of[order][0]
            under_way = any(request.group == leader for request in state.requests)
            nothing_came = not (under_way or state.truths[order].accepted)
            if row.released and row.status is OrderStatus.QUARANTINED and nothing_came:
                over = row._replace(status=OrderStatus.NOT_ACCEPTED)
                yield ("a day passes after the release of", order), state._replace(rows=at(state.rows, order, over))
