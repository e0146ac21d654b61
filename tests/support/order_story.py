"""All events of one order, as the audit recorder reads them."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from libs.common.contracts.events import (
    CandleClosed,
    OrderApproved,
    OrderFilled,
    OrderUpdated,
    PositionChanged,
    SignalGenerated,
)
from libs.common.contracts.vocabulary import Role
from libs.common.messaging.cause import Cause
from libs.common.messaging.records import RawRecord
from tests.support.events import every_event
from tests.support.raw_records import AT, record_of, records_of


def an_order_story() -> list[RawRecord]:
    """A candle, its signal, the approval, the order's updates, its fill, the position, and the exit's fill."""
    examples = {type(event): event for event in every_event()}
    entry, exit_intent = UUID(int=1), UUID(int=2)
    at = AT + timedelta(seconds=1)
    candle = record_of(examples[CandleClosed], written_at=at)
    root = UUID(dict(candle.headers)["event_id"].decode())
    cause = Cause(root, root)
    signal = examples[SignalGenerated].model_copy(update={"signal_id": "wish"})
    sent = examples[OrderUpdated].model_copy(
        update={
            "intent_id": entry,
            "parent_intent_id": None,
            "signal_id": "wish",
            "role": Role.ENTRY,
            "revision": 1,
            "client_order_id": "ctE-abc123-x",
            "exchange_order_id": "77",
            "filled_quantity": Decimal(0),
            "filled_amount": Decimal(0),
        }
    )
    filled = sent.model_copy(update={"revision": 2, "filled_quantity": Decimal(2), "filled_amount": Decimal(201)})
    exit_fill = examples[OrderFilled].model_copy(
        update={"intent_id": exit_intent, "parent_intent_id": entry, "client_order_id": "ctP-abc123-x", "trade_id": 5}
    )
    approved = examples[OrderApproved].model_copy(update={"intent_id": entry, "signal_id": "wish"})
    entry_fill = examples[OrderFilled].model_copy(
        update={"intent_id": entry, "parent_intent_id": None, "client_order_id": "ctE-abc123-x", "trade_id": 4}
    )
    followers = [signal, approved, sent, entry_fill, filled, examples[PositionChanged]]
    records = records_of(followers, cause=cause)
    later = record_of(exit_fill, offset=1, cause=Cause(UUID(int=8), UUID(int=9)), written_at=AT + timedelta(seconds=5))
    return [*(replace(one, written_at=at) for one in records), candle, later]
