"""The rows that are the evidence, read from the executor's tables and the audit log."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from tests.chaos.arena import Arena
from tests.chaos.evidence import Intent, State, Update, verdicts

THE_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)

_INTENTS: Final = """
    SELECT orders.client_order_id, orders.role, orders.created_at, orders.answered_at, intents.signed_at_ms
    FROM orders JOIN intents USING (intent_id) WHERE orders.created_at >= $1 ORDER BY orders.created_at
"""
_EVENTS: Final = """
    SELECT payload FROM audit WHERE topic = $1 AND event_type = $2 AND recorded_at >= $3 ORDER BY partition, offset_last
"""


async def read_intents(arena: Arena, since: datetime = THE_BEGINNING) -> Sequence[Intent]:
    """Return the orders recorded since, with when their fate was known."""
    updates = await read_updates(arena, since)
    known = verdicts(updates)
    rows = await arena.query(_INTENTS, since)
    return [Intent(**row, verdict_at=known.get(row["client_order_id"])) for row in rows]


async def read_updates(arena: Arena, since: datetime = THE_BEGINNING) -> Sequence[Update]:
    """Return the changes of orders in the order in which they were published."""
    rows = await arena.query(_EVENTS, "orders.updates", "OrderUpdated", since)
    contents = [json.loads(row["payload"]) for row in rows]
    return [
        Update(
            client_order_id=content["client_order_id"],
            status=content["status"],
            at=datetime.fromisoformat(content["occurred_at"]),
        )
        for content in contents
    ]


async def read_states(arena: Arena) -> Sequence[State]:
    """Return the account's trading states, oldest first."""
    rows = await arena.query(_EVENTS, "control.state", "TradingStateChanged", THE_BEGINNING)
    contents = [json.loads(row["payload"]) for row in rows]
    states = [
        State(
            state=content["state"],
            since=datetime.fromisoformat(content["occurred_at"]),
            trigger=content.get("trigger") or "",
            reason=content.get("reason", ""),
        )
        for content in contents
    ]
    return sorted(states, key=lambda state: state.since)
