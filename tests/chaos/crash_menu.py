"""The crash points of the reliability rules as they are played on real processes.

Invariant: each is a step at which the executor dies, a fault of the exchange, or a store that is away; nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_ORDERS: Final = {"method": "POST", "path": "/api/v3/order"}
_ENTRIES: Final = {"client_id_prefix": "ctE-"}
_REPORTS: Final = {"kind": "event_dropped", "probability": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashPoint:
    """What is done at one of the points.

    Attributes:
        name: That of the reliability rules.
        steps: At which the executor dies, one a seed in turn.
        faults: What the exchange does wrong meanwhile.
        killed: Which processes die first.
        is_flushed: Redis forgets everything.
        settings: What the executor is told for a while: its clock's error, that nothing can be written.
        with_lists: Entries and their exits are one list.
    """

    name: str
    steps: Sequence[str] = ()
    faults: Sequence[Mapping[str, Any]] = ()
    killed: Sequence[str] = ()
    is_flushed: bool = False
    settings: Mapping[str, Any] | None = None
    with_lists: bool = False


POINTS: Final = (
    CrashPoint(name="CP1 before the intent commits", steps=("before commit orders.approved",)),
    CrashPoint(name="CP2 after the commit, before the request", steps=("sending POST order",)),
    CrashPoint(
        name="CP3 the request is cut while it is written", faults=({"kind": "request_lost", "on": _ORDERS, "count": 1},)
    ),
    CrashPoint(name="CP4 accepted, the answer is lost", faults=({"kind": "reply_cut", "on": _ORDERS, "count": 1},)),
    CrashPoint(name="CP5 accepted, the process dies", steps=("sent POST order", "sent POST oco")),
    CrashPoint(
        name="CP6 filled before the answer, the process dies",
        steps=("answered POST order",),
        faults=({**_REPORTS, "probability": 1.0},),
    ),
    CrashPoint(name="CP7 answered, dies before the result commits", steps=("answered POST order", "answered POST oco")),
    CrashPoint(
        name="CP8 the result commits, dies before it is published",
        steps=("publishing orders.updates", "publishing fills"),
    ),
    CrashPoint(name="CP9 published, dies before it is marked", steps=("published orders.updates", "published fills")),
    CrashPoint(
        name="CP10 dies between two fills of one order",
        steps=("published fills", "committed"),
        faults=({"kind": "order_part_filled", "on": _ENTRIES, "count": 3},),
    ),
    CrashPoint(
        name="CP11 dies in a cancel",
        steps=("sending DELETE orderList", "sent DELETE orderList", "answered DELETE orderList"),
    ),
    CrashPoint(
        name="CP12 dies while it reconciles",
        steps=("answered GET openOrders", "answered GET myTrades", "answered GET account"),
        killed=("trade_executor",),
    ),
    CrashPoint(name="CP14, CP15 Postgres dies", killed=("postgres",)),
    CrashPoint(name="CP16 Redis dies, and is empty", killed=("redis",), is_flushed=True),
    CrashPoint(name="CP17 Kafka dies", killed=("kafka",)),
    CrashPoint(name="CP18 the user stream has a gap", faults=({"kind": "stream_silent", "silent_s": 8, "count": 1},)),
    CrashPoint(
        name="CP19 reports come twice and overtake each other",
        faults=({"kind": "event_doubled", "probability": 1.0}, {"kind": "event_swapped", "probability": 0.5}),
    ),
    CrashPoint(
        name="CP20 an answer that cannot be read",
        faults=(
            {"kind": "reply_html", "on": _ORDERS, "count": 1},
            {"kind": "reply_truncated", "on": _ORDERS, "count": 1},
        ),
    ),
    CrashPoint(
        name="CP21 a market order ends part-filled",
        faults=({"kind": "order_part_filled", "on": _ENTRIES, "count": 1},),
    ),
    CrashPoint(name="CP22 the clock is set", settings={"ahead_s": 60.0}),
    CrashPoint(
        name="CP23 told to wait with an order unknown",
        faults=(
            {"kind": "reply_cut", "on": _ORDERS, "count": 1},
            {"kind": "request_throttled", "retry_after_s": 2, "count": 2},
        ),
    ),
    CrashPoint(name="CP24 nothing can be written", settings={"is_full": True}),
    CrashPoint(
        name="CP2 of an entry list: after the commit, before the request",
        steps=("sending POST otoco", "before commit orders.approved"),
        with_lists=True,
    ),
    CrashPoint(name="CP5 of an entry list: accepted, the process dies", steps=("sent POST otoco",), with_lists=True),
    CrashPoint(
        name="CP7 of an entry list: answered, dies before the result commits",
        steps=("answered POST otoco",),
        with_lists=True,
    ),
)
"""Without CP13, the frozen owner beside its successor: `tests.chaos.frozen` has it."""
