"""What an answer to an order proves, by HTTP status, code and message.

Invariant: only the allow-list of `refusals` proves that an order was not accepted; whatever it does not name is
unknown: other codes, every 5xx, no answer, half an answer, an answer that is not about our order. ccxt's exception
classes are not looked at, because they depend on the address and drop statuses.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from libs.exchange.refusals import REMEDIES, Reason, Remedy, reason_of
from libs.exchange.replies import ERROR_STATUS, SERVER_ERROR_STATUS, Reply


class Verdict(StrEnum):
    """What is proved about an order that was sent."""

    ACCEPTED = "ACCEPTED"  # the exchange has it
    NOT_ACCEPTED = "NOT_ACCEPTED"  # proved: it has not, and never will
    EXISTS = "EXISTS"  # it has one under this client id: ask which
    UNKNOWN = "UNKNOWN"  # nothing: ask until it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A verdict with what led to it.

    Attributes:
        reason: Set with NOT_ACCEPTED.
        detail: Status, code and message for people and logs.
    """

    verdict: Verdict
    reason: Reason | None = None
    detail: str = ""

    @property
    def remedy(self) -> Remedy:
        """What may be done about it; an order of unknown outcome is looked for, and never sent again."""
        if self.verdict is Verdict.NOT_ACCEPTED and self.reason is not None:
            return REMEDIES[self.reason]
        return Remedy.NOTHING if self.verdict is Verdict.ACCEPTED else Remedy.LOOK_FOR_IT


class Finding(StrEnum):
    """What a query proves."""

    FOUND = "FOUND"
    NOT_FOUND = "NOT_FOUND"  # at this moment; before the fence it proves nothing
    UNAVAILABLE = "UNAVAILABLE"  # the question was not answered


class CancelVerdict(StrEnum):
    """What a cancel proves."""

    CANCELED = "CANCELED"
    GONE = "GONE"  # nothing open under this id: ask what became of it
    UNKNOWN = "UNKNOWN"


NO_REPLY: Final = Outcome(verdict=Verdict.UNKNOWN, detail="no complete answer")
NEVER_SENT: Final = Outcome(verdict=Verdict.NOT_ACCEPTED, reason=Reason.NOT_SENT, detail="no connection was made")

_DUPLICATE: Final = "duplicate order sent"
_ORDER_NOT_FOUND: Final = frozenset({-2013, -2026})
_UNKNOWN_ORDER: Final = -2011


def classify_placement(reply: Reply, client_id: str) -> Outcome:
    """Say what the answer to a new order or order list proves.

    Args:
        reply: The complete answer; without one the outcome is `NO_REPLY`.
        client_id: The client order id, or the list's, that was sent.
    """
    detail = f"HTTP {reply.status} {reply.code or ''} {reply.message}".strip()[:300]
    if reply.status < ERROR_STATUS:
        if _names(reply.body, client_id):
            return Outcome(verdict=Verdict.ACCEPTED, detail=detail)
        return Outcome(verdict=Verdict.UNKNOWN, detail=f"{detail}: the body does not name {client_id}")
    if _DUPLICATE in reply.message.lower() and reply.status < SERVER_ERROR_STATUS:
        return Outcome(verdict=Verdict.EXISTS, detail=detail)
    reason = reason_of(reply)
    if reason is None:
        return Outcome(verdict=Verdict.UNKNOWN, detail=detail)
    return Outcome(verdict=Verdict.NOT_ACCEPTED, reason=reason, detail=detail)


def classify_query(reply: Reply, client_id: str) -> Finding:
    """Say what the answer to a query by client order id proves."""
    if reply.status < ERROR_STATUS and _names(reply.body, client_id):
        return Finding.FOUND
    if reply.status < SERVER_ERROR_STATUS and reply.code in _ORDER_NOT_FOUND:
        return Finding.NOT_FOUND
    return Finding.UNAVAILABLE


def classify_cancel(reply: Reply, client_id: str) -> CancelVerdict:
    """Say what the answer to a cancel of an order or list proves."""
    if reply.status < ERROR_STATUS and _names(reply.body, client_id):
        return CancelVerdict.CANCELED
    if reply.status < SERVER_ERROR_STATUS and reply.code == _UNKNOWN_ORDER:
        return CancelVerdict.GONE
    return CancelVerdict.UNKNOWN


def _names(body: Any, client_id: str) -> bool:
    """Whether the body is the exchange's record of the order or list that we named."""
    if not isinstance(body, dict):
        return False
    if "listClientOrderId" in body:
        return body["listClientOrderId"] == client_id and "orderListId" in body
    return "orderId" in body and client_id in {body.get("clientOrderId"), body.get("origClientOrderId")}
