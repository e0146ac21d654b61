from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

from libs.common.configuration import parse_configuration
from libs.common.contracts.event import Event
from libs.common.contracts.events import (
    CandleClosed,
    ConfigurationChanged,
    EquityMarked,
    HeartbeatSent,
    OrderApproved,
    OrderFilled,
    OrderUpdated,
    SignalGenerated,
    SignalHeld,
    StopMoved,
    TradingStateChanged,
)
from libs.common.contracts.vocabulary import Role
from libs.common.messaging.cause import Cause, enclose
from services.audit_recorder.adapters.rows import configuration_rows
from services.audit_recorder.domain.read_models import MinuteOf, ReadModelChanges, changes_of
from tests.support.events import every_event
from tests.support.raw_records import AT

EventT = TypeVar("EventT", bound=Event)
ROOT = UUID(int=7)


def an_event(event_type: type[EventT], **changes: Any) -> EventT:
    example = next(event for event in every_event() if isinstance(event, event_type))
    return example.model_copy(update=changes)


def changes(*events: Event) -> ReadModelChanges:
    return changes_of(enclose(event, cause=Cause(uuid4(), ROOT), ordinal=0, now=AT) for event in events)


def test_every_event_type_is_understood():
    assert changes(*every_event()).signals


def test_wishes_and_holds_are_both_signals():
    made = changes(an_event(SignalGenerated, signal_id="a"), an_event(SignalHeld))

    assert [type(envelope.event) for envelope in made.signals.values()] == [SignalGenerated, SignalHeld]
    assert "a" in made.signals


def test_a_signals_execution_is_what_the_newest_revision_of_its_order_says():
    newest = an_event(OrderUpdated, revision=3, filled_quantity=Decimal(2), role=Role.ENTRY)

    made = changes(an_event(OrderUpdated, revision=2, role=Role.ENTRY), newest, an_event(OrderUpdated, revision=1))

    assert made.executions == {newest.intent_id: newest}


def test_a_protective_order_is_no_execution_of_its_signal():
    assert not changes(an_event(OrderUpdated, role=Role.PROTECTION, signal_id="a")).executions


def test_an_order_is_found_by_all_its_names_and_belongs_to_its_entry():
    entry, exit_intent = UUID(int=1), UUID(int=2)

    made = changes(
        an_event(OrderApproved, intent_id=entry, signal_id="signal"),
        an_event(OrderUpdated, intent_id=entry, parent_intent_id=None, client_order_id="ctE-1", exchange_order_id="11"),
        an_event(OrderFilled, intent_id=exit_intent, parent_intent_id=entry, client_order_id="ctX-1"),
    )

    found = {reference.reference for reference in made.references if reference.root_intent_id == entry}
    assert found >= {str(entry), str(exit_intent), "signal", "ctE-1", "11", "ctX-1"}
    assert {reference.correlation_id for reference in made.references} == {ROOT}


def test_a_move_of_a_stop_belongs_to_the_story_of_its_entry():
    made = changes(an_event(StopMoved, entry_intent_id=UUID(int=1)))

    [reference] = made.references
    assert (reference.reference, reference.root_intent_id) == (str(UUID(int=1)), UUID(int=1))
    assert reference.correlation_id == ROOT


def test_an_order_without_an_exchange_id_is_not_found_by_none():
    made = changes(an_event(OrderUpdated, exchange_order_id=None))

    assert "None" not in {reference.reference for reference in made.references}


def test_a_component_has_one_row_and_one_a_minute():
    first = an_event(HeartbeatSent, component="a", instance="h:1", sequence=1, occurred_at=AT)
    second = first.model_copy(update={"sequence": 2, "occurred_at": AT + timedelta(seconds=59)})
    third = first.model_copy(update={"sequence": 3, "occurred_at": AT + timedelta(seconds=60)})

    made = changes(second, first, third)

    assert made.statuses == {("a", "h:1"): third}
    assert made.status_minutes == {
        MinuteOf("a|h:1", AT): second,
        MinuteOf("a|h:1", AT + timedelta(minutes=1)): third,
    }


def test_a_backfilled_candle_replaces_a_partial_one_and_never_the_other_way_round():
    partial = an_event(CandleClosed, partial=True, backfilled=False)
    filled = an_event(CandleClosed, partial=False, backfilled=True)

    assert list(changes(partial, filled).candles.values()) == [filled]
    assert list(changes(filled, partial).candles.values()) == [filled]


def test_equity_is_the_last_mark_of_each_minute():
    first = an_event(EquityMarked, occurred_at=AT)
    last = an_event(EquityMarked, occurred_at=AT + timedelta(seconds=30), equity=Decimal(1))

    assert list(changes(last, first).performance.values()) == [last]


def test_the_newest_trading_state_of_each_account_counts():
    newest = an_event(TradingStateChanged, revision=5)

    assert changes(newest, an_event(TradingStateChanged, revision=4)).states == {newest.account: newest}


def test_each_account_has_its_row_of_the_configuration_as_it_holds_for_it():
    own = {"engine": {"max_concurrent_positions": 2}, "risk_management": {"daily_loss_limit_pct": "1"}}
    told = parse_configuration({"accounts": {"main": {}, "second": own}}, where="test")

    rows = configuration_rows(an_event(ConfigurationChanged, configuration=told.canonical, origins={}))

    assert [row[:5] for row in rows] == [
        (1, "main", "CONSERVATIVE", Decimal("3.0"), 5),
        (2, "second", "CONSERVATIVE", Decimal(1), 2),
    ]
