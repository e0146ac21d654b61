"""The world around the processes: the gateway, the matching engine, time, approvals, and what goes wrong."""

from collections.abc import Iterator

from libs.trading.orders import OrderStatus
from tests.unit.order_protocol.protocol_policies import Policy
from tests.unit.order_protocol.protocol_processes import Processes, Steps
from tests.unit.order_protocol.protocol_state import (
    ADOPTED,
    NEVER,
    Actor,
    Doing,
    Request,
    Row,
    Setting,
    Stage,
    State,
    Truth,
    at,
    at_risk,
    claimed,
    claims,
    late_fills,
)

ACCEPTED_MAX = 2
"""Two are wrong already."""

DENIED_LATE = frozenset({OrderStatus.ABANDONED, OrderStatus.NOT_ACCEPTED})
DENIED = DENIED_LATE | {OrderStatus.QUARANTINED}
"""What must never be said of an order that the exchange has; a quarantine says it of one within its bounds only."""


class World:
    """A model of the whole: the steps from a state, what is wrong with it, and whether it is settled."""

    def __init__(self, setting: Setting, policy: Policy) -> None:
        self.setting = setting
        self.policy = policy
        self._processes = Processes(setting, policy)
        self._ages_max = policy.timing.settled
        self._in_time = policy.timing.recv_window + policy.timing.engine_delay
        self._fresh = NEVER * policy.timing.clock_error

    def initial(self) -> State:
        """Return where it begins."""
        return self.setting.initial()

    def steps(self, state: State) -> Steps:
        """Yield everything that can happen next."""
        yield from self._approve(state)
        yield from self._processes.steps(state)
        yield from self._exchange(state)
        yield from self._pass_time(state)
        yield from self._fail(state)

    def wrong(self, state: State) -> str | None:
        """Return what is wrong with a state: duplicate, orphan, wrong verdict, lost order, exposure."""
        for order, (truth, row) in enumerate(self._orders(state)):
            if not truth.accepted:
                continue
            if truth.accepted > 1:
                return "duplicate"
            if row is None:
                if not self._remembers(state, order):
                    return "orphan"
            elif truth.told and row.status is not ADOPTED:
                return "lost order"
            elif row.status in (DENIED_LATE if truth.late else DENIED):
                return "wrong verdict"
        late = late_fills(state, self.setting)
        if at_risk(state, self.setting) > self.setting.cap + late:
            return "exposure"
        return "double count" if self._claimed(state) > self.setting.cap + late else None

    def remarkable(self, state: State) -> str | None:
        """Return what may happen and is worth to be shown."""
        if any(truth.late and row is not None and row.released for truth, row in self._orders(state)):
            beyond = at_risk(state, self.setting) > self.setting.cap
            return "a late fill beyond the cap" if beyond else "a late fill"
        return "a release" if any(row is not None and row.released for _, row in self._orders(state)) else None

    def is_settled(self, state: State) -> bool:
        """Whether every approval has its one true answer: adopted and protected, with an alarm if it had been given up;
        or nothing is claimed.
        """
        if not all(state.approved) and self._claimed(state) < self.setting.cap:
            return False
        for group, approved in zip(self.setting.groups, state.approved, strict=True):
            if approved and not all(self._is_answered(state, order) for order in group):
                return False
        return True

    def _is_answered(self, state: State, order: int) -> bool:
        truth, row = state.truths[order], state.rows[order]
        if row is None:
            return False
        if not truth.accepted:
            return not claims(row)
        return row.status is ADOPTED and row.protected and (row.alarmed or row.quarantine_age == NEVER)

    def _claimed(self, state: State) -> int:
        return claimed(state, self.setting, counts_unknown=self.policy.counts_unknown)

    @staticmethod
    def _orders(state: State) -> Iterator[tuple[Truth, Row | None]]:
        return zip(state.truths, state.rows, strict=True)

    def _remembers(self, state: State, order: int) -> bool:
        return any(
            tasks[order].doing is not Doing.NOTHING for tasks in (state.owner, state.zombie) if tasks is not None
        )

    def _approve(self, state: State) -> Steps:
        """The risk manager reserves for one more group, where the books leave room (its claims are absolute)."""
        if not all(state.approved) and self._claimed(state) < self.setting.cap:
            group = state.approved.index(False)
            yield ("risk manager approves", group), state._replace(approved=at(state.approved, group, True))

    def _exchange(self, state: State) -> Steps:
        for request in dict.fromkeys(state.requests):
            match request.stage:
                case Stage.NETWORK if self._fresh < request.age <= self.policy.timing.recv_window:
                    passed = request._replace(stage=Stage.ENGINE)
                    yield ("gateway passes on", request.group), self._moved(state, request, passed)
                case Stage.NETWORK:
                    refused = request._replace(stage=Stage.REFUSED, age=0)
                    yield ("gateway refuses (-1021)", request.group), self._moved(state, request, refused)
                case Stage.ENGINE:
                    accepted = request._replace(stage=Stage.ACCEPTED, age=0, engine_age=0)
                    yield (
                        ("engine accepts", request.group),
                        self._accepted(self._moved(state, request, accepted), request.group),
                    )
                case _:
                    continue

    def _accepted(self, state: State, leader: int) -> State:
        truths = state.truths
        for group in self.setting.groups:
            if group[0] == leader:
                for order in group:
                    truth, row = truths[order], state.rows[order]
                    late = truth.late if truth.accepted else row is not None and row.age > self._in_time
                    count = min(truth.accepted + 1, ACCEPTED_MAX)
                    truths = at(truths, order, Truth(count, truth.shown_age, late, truth.told))
        return state._replace(truths=truths)

    def _moved(self, state: State, request: Request, moved: Request) -> State:
        """Return the state with a request further on; an answer that nobody waits for is none."""
        remaining = list(state.requests)
        remaining.remove(request)
        if moved.stage is Stage.ENGINE or moved.sender is not Actor.NOBODY:
            remaining.append(moved)
        return state._replace(requests=tuple(sorted(remaining)))

    def _pass_time(self, state: State) -> Steps:
        """One tick; what has a bound happens before it."""
        timing = self.policy.timing
        for request in state.requests:
            if self.setting.bounded and request.stage is Stage.ENGINE and request.engine_age >= timing.engine_delay:
                return
        rows = tuple(
            row
            and row._replace(
                age=min(row.age + 1, self._ages_max),
                quarantine_age=NEVER if row.quarantine_age == NEVER else min(row.quarantine_age + 1, timing.quarantine),
            )
            for row in state.rows
        )
        truths = tuple(
            truth._replace(shown_age=min(truth.shown_age + 1, timing.query_lag)) if truth.accepted else truth
            for truth in state.truths
        )
        requests = tuple(sorted(self._aged(request) for request in state.requests))
        later = state._replace(rows=rows, truths=truths, requests=requests)
        if later != state:
            yield ("a tick passes",), later

    def _aged(self, request: Request) -> Request:
        match request.stage:
            case Stage.NETWORK:
                return request._replace(age=min(request.age + 1, self.policy.timing.recv_window + 1))
            case Stage.ENGINE if self.setting.bounded:
                return request._replace(age=0, engine_age=request.engine_age + 1)
            case _:
                return request._replace(age=0)

    def _fail(self, state: State) -> Steps:
        if state.crashes_left:
            unheard = self._unheard(state, Actor.NOBODY)
            yield (
                ("owner crashes and starts",),
                self._processes.restarted(unheard._replace(crashes_left=state.crashes_left - 1)),
            )
        if state.freezes_left:
            unheard = self._unheard(state, Actor.ZOMBIE)
            frozen = unheard._replace(freezes_left=state.freezes_left - 1, zombie=state.owner)
            yield ("owner freezes, a successor takes the epoch",), self._processes.restarted(frozen)
        if state.clock_steps_left:
            yield (
                ("the host's clock is set ahead",),
                state._replace(clock_steps_left=state.clock_steps_left - 1, clock_stepped=True),
            )

    def _unheard(self, state: State, heir: Actor) -> State:
        """Return the state in which the owner's answers go to its heir, or to nobody."""
        requests = [
            request._replace(sender=heir) if request.sender is Actor.OWNER else request
            for request in state.requests
            if request.sender is not Actor.OWNER or heir is not Actor.NOBODY or request.stage < Stage.ACCEPTED
        ]
        return state._replace(requests=tuple(sorted(requests)))
