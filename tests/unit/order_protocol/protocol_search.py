"""Search everything that can happen, breadth first, so that the first way to anything is a shortest one."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)
Label = tuple[object, ...]

STATES_MAX = 1_000_000


@dataclass
class Found(Generic[Node]):
    """What a search came upon.

    Attributes:
        states: How many were reached.
        traces: For each thing that can go wrong, a shortest way to it.
        seen: The same for what is only worth to be shown.
        unsettled: A reachable state from which nothing leads to a settled one.
    """

    states: int
    traces: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unsettled: Node | None = None


def search(
    initial: Node,
    steps: Callable[[Node], Iterable[tuple[Label, Node]]],
    *,
    wrong: Callable[[Node], str | None],
    is_settled: Callable[[Node], bool],
    remarkable: Callable[[Node], str | None] = lambda _: None,
    until: frozenset[str] = frozenset(),
) -> Found[Node]:
    """Visit every state; what is wrong is not followed further, and all of `until`, if any, ends the search.

    Raises:
        OverflowError: There are more than `STATES_MAX`.
    """
    came_from: dict[Node, tuple[Node, Label] | None] = {initial: None}
    before: dict[Node, list[Node]] = {initial: []}
    settled: list[Node] = []
    found: Found[Node] = Found(0)
    waiting = deque([initial])
    while waiting:
        state = waiting.popleft()
        mistake = wrong(state)
        if mistake is not None:
            if mistake not in found.traces:
                found.traces[mistake] = _trace(state, came_from)
            settled.append(state)  # it is told about already
            if until and until <= found.traces.keys():
                break
            continue
        remark = remarkable(state)
        if remark is not None and remark not in found.seen:
            found.seen[remark] = _trace(state, came_from)
        if is_settled(state):
            settled.append(state)
        for label, following in steps(state):
            if following not in came_from:
                if len(came_from) >= STATES_MAX:
                    raise OverflowError(f"expected at most {STATES_MAX} states")
                came_from[following] = (state, label)
                before[following] = [state]
                waiting.append(following)
            else:
                before[following].append(state)
    found.states = len(came_from)
    found.unsettled = _never_settled(before, settled) if not waiting else None
    return found


def _never_settled(before: dict[Node, list[Node]], settled: list[Node]) -> Node | None:
    reached = set(settled)
    while settled:
        for state in before[settled.pop()]:
            if state not in reached:
                reached.add(state)
                settled.append(state)
    return next((state for state in before if state not in reached), None)


def _trace(state: Node, came_from: dict[Node, tuple[Node, Label] | None]) -> tuple[str, ...]:
    told: list[str] = []
    step = came_from[state]
    while step is not None:
        state, label = step
        told.append(" ".join(map(_word, label)))
        step = came_from[state]
    return tuple(reversed(told))


def _word(part: object) -> str:
    return str(getattr(part, "name", part)).lower().replace("_", " ")
