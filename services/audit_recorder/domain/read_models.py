"""Which events change which rows of the read models.

Topics are read side by side, so no rule may depend on which of two events of different topics came first; within a
row the newest says what stands there, and repeating an event changes nothing.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias, TypeVar

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import (
    CandleClosed,
    ConfigurationChanged,
    EquityMarked,
    HeartbeatSent,
    LogRecorded,
    OrderApproved,
    OrderFilled,
    OrderUpdated,
    SignalGenerated,
    SignalHeld,
    StopMoved,
    TradingStateChanged,
)
from libs.common.contracts.vocabulary import Role

EventT = TypeVar("EventT", bound=Event)

LogEnvelope: TypeAlias = Envelope[LogRecorded]
SignalEnvelope: TypeAlias = Envelope[SignalGenerated] | Envelope[SignalHeld]


class OrderReference(NamedTuple):
    """One of an order's names, the entry that its story begins with, and a chain of causes that belongs to it."""

    reference: str
    root_intent_id: uuid.UUID
    correlation_id: uuid.UUID


class MinuteOf(NamedTuple):
    """A row of a series with one row a minute."""

    name: str
    minute_at: datetime


@dataclass(slots=True)
class ReadModelChanges:
    """The rows that a batch writes, each once, by the keys of their tables."""

    logs: dict[uuid.UUID, LogEnvelope] = field(default_factory=dict)
    signals: dict[str, SignalEnvelope] = field(default_factory=dict)
    executions: dict[uuid.UUID, OrderUpdated] = field(default_factory=dict)
    references: set[OrderReference] = field(default_factory=set)
    statuses: dict[tuple[str, str], HeartbeatSent] = field(default_factory=dict)
    status_minutes: dict[MinuteOf, HeartbeatSent] = field(default_factory=dict)
    candles: dict[tuple[str, int, datetime], CandleClosed] = field(default_factory=dict)
    performance: dict[MinuteOf, EquityMarked] = field(default_factory=dict)
    states: dict[str, TradingStateChanged] = field(default_factory=dict)
    configurations: dict[int, ConfigurationChanged] = field(default_factory=dict)

    def apply(self, envelope: Envelope[Any]) -> None:
        """Take up one event; most types change no row."""
        event = envelope.event
        match event:
            case LogRecorded():
                self.logs[envelope.event_id] = envelope
            case SignalGenerated() | SignalHeld():
                self.signals[event.natural_key] = envelope
            case OrderApproved() | OrderUpdated() | OrderFilled() | StopMoved():
                self._order(envelope, event)
            case HeartbeatSent():
                self._heartbeat(event)
            case CandleClosed():
                self._candle(event)
            case EquityMarked():
                minute = MinuteOf(event.account, _minute(event))
                self.performance[minute] = _later(event, self.performance.get(minute))
            case ConfigurationChanged():
                self.configurations[event.version] = event
            case TradingStateChanged():
                known = self.states.get(event.account)
                if known is None or event.revision > known.revision:
                    self.states[event.account] = event

    def _order(self, envelope: Envelope[Any], event: OrderApproved | OrderUpdated | OrderFilled | StopMoved) -> None:
        root = event.entry_intent_id if isinstance(event, StopMoved) else event.intent_id
        names: list[object] = [root]
        if isinstance(event, OrderUpdated | OrderFilled):
            names += [event.client_order_id, event.exchange_order_id]
            root = event.parent_intent_id or root
        if isinstance(event, OrderApproved):
            names.append(event.signal_id)
        correlation_id = envelope.correlation_id or envelope.event_id
        self.references.update(OrderReference(str(name), root, correlation_id) for name in names if name)
        if isinstance(event, OrderUpdated) and event.signal_id and event.role is not Role.PROTECTION:
            known = self.executions.get(event.intent_id)
            if known is None or event.revision > known.revision:
                self.executions[event.intent_id] = event

    def _heartbeat(self, event: HeartbeatSent) -> None:
        row = (event.component, event.instance)
        self.statuses[row] = _later(event, self.statuses.get(row))
        minute = MinuteOf(f"{event.component}|{event.instance}", _minute(event))
        self.status_minutes[minute] = _later(event, self.status_minutes.get(minute))

    def _candle(self, event: CandleClosed) -> None:
        row = (event.symbol, event.interval_s, event.open_at)
        known = self.candles.get(row)
        if known is None or known.partial:
            self.candles[row] = event


def changes_of(envelopes: Iterable[Envelope[Event]]) -> ReadModelChanges:
    """Return the rows that a batch of events writes."""
    changes = ReadModelChanges()
    for envelope in envelopes:
        changes.apply(envelope)
    return changes


def _minute(event: Event) -> datetime:
    return event.occurred_at.replace(second=0, microsecond=0)


def _later(event: EventT, known: EventT | None) -> EventT:
    return event if known is None or event.occurred_at >= known.occurred_at else known
