"""What a kill hit, told by the executor's tables and the exchange's journal, never by guessing.

Invariant: pure functions over rows; every time is of the one clock that the processes of a machine share.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from libs.common.clock import epoch_ms
from tests.chaos.journal_tail import Seen

FLIGHT: Final = timedelta(seconds=2)
"""So long before a kill an order must have been in flight for the kill to count."""

_OPEN: Final = frozenset({"PREPARED", "SUBMITTED", "UNKNOWN"})


class Step(StrEnum):
    """Where an order stood when it was hit."""

    PREPARED = "prepared, never arrived"
    SENT = "sent, arrived afterwards"
    ACCEPTED = "accepted, answer unrecorded"
    FILLED = "filled, answer unrecorded"
    ANSWERED = "answered"
    PROTECTION = "protection"
    EXIT = "exit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An order's change as the audit log has it."""

    client_order_id: str
    status: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An order as the executor recorded it.

    Attributes:
        answered_at: When the answer to its request was recorded; None: the process that sent it never did.
        verdict_at: When its fate was first known; None: it is not.
        signed_at_ms: When its request was signed; the orders of one list are one request.
    """

    client_order_id: str
    role: str
    created_at: datetime
    signed_at_ms: int | None = None
    answered_at: datetime | None = None
    verdict_at: datetime | None = None

    @property
    def over_at(self) -> datetime | None:
        """When it was no longer in flight."""
        return min((at for at in (self.answered_at, self.verdict_at) if at is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The trading state from a moment on."""

    state: str
    since: datetime
    trigger: str = ""
    reason: str = ""


def verdicts(updates: Iterable[Update]) -> Mapping[str, datetime]:
    """Return when each order's fate was first known, by client order id."""
    found: dict[str, datetime] = {}
    for update in updates:
        if update.status not in _OPEN:
            found[update.client_order_id] = min(update.at, found.get(update.client_order_id, update.at))
    return found


def in_flight(intents: Iterable[Intent], at: datetime) -> Intent | None:
    """Return what was in flight in the two seconds before: the order that was hit the hardest, of a list its entry."""
    flying = [
        intent
        for intent in intents
        if intent.created_at <= at and (intent.over_at is None or intent.over_at >= at - FLIGHT)
    ]
    hit = max(
        flying, key=lambda intent: (intent.over_at is None or intent.over_at > at, intent.created_at), default=None
    )
    if hit is None or hit.signed_at_ms is None:
        return hit
    entries = [intent for intent in flying if (intent.role, intent.signed_at_ms) == ("ENTRY", hit.signed_at_ms)]
    return entries[0] if entries else hit


def step_of(intent: Intent, seen: Seen | None, at: datetime) -> Step:
    """Return where an order stood at a moment."""
    if intent.role == "PROTECTION":
        return Step.PROTECTION
    if intent.role != "ENTRY":
        return Step.EXIT
    if intent.answered_at is not None and intent.answered_at <= at:
        return Step.ANSWERED
    if seen is None:
        return Step.PREPARED
    if seen.accepted_at_ms > epoch_ms(at):
        return Step.SENT
    return Step.FILLED if seen.filled_at_once else Step.ACCEPTED


def was_active(states: Sequence[State], at: datetime) -> bool:
    """Return whether entries were allowed throughout the two seconds before."""
    current = [state for state in states if state.since <= at]
    return bool(current) and current[-1].state == "ACTIVE" and current[-1].since <= at - FLIGHT


def inactive_s(states: Sequence[State], begin: datetime, end: datetime) -> float:
    """Return for how many seconds of a time the state was another than ACTIVE."""
    total = timedelta()
    for state, following in zip(states, [*states[1:], None], strict=True):
        if state.state != "ACTIVE":
            until = following.since if following is not None else end
            total += max(timedelta(), min(until, end) - max(state.since, begin))
    return total.total_seconds()
