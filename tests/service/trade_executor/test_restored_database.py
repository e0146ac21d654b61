"""A database that is older than what was published: it is brought up to it, and nothing is sent for what it forgot."""

import copy
import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.common.clock import epoch_ms
from libs.common.contracts.codec import encode
from libs.common.contracts.event import Event
from libs.common.contracts.events import BalancesAdjusted, OrderFilled, OrderUpdated
from libs.common.contracts.topics import TopicName
from libs.common.contracts.vocabulary import OrderStatus as Told
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.records import RawRecord
from libs.exchange.orders.port import NewBracket, NewOrder
from libs.exchange.user_stream.events import BalanceTransferred
from services.trade_executor.domain.rebuilding import NO_EXITS, latest, rebuilt
from services.trade_executor.service.streaming import StreamReader
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval, an_exit
from tests.support.executor_records import Tables
from tests.support.fake_exchange import FakeExchange


def as_published(event: Event, offset: int) -> RawRecord:
    record = encode(enclose(event, cause=Cause.none(), ordinal=offset, now=event.occurred_at))
    return RawRecord(
        topic=TopicName(record.topic),
        partition=0,
        offset=offset,
        key=record.key,
        value=record.value,
        headers=record.headers,
        written_at=event.occurred_at,
    )


def a_copy(tables: Tables) -> Tables:
    draft = copy.copy(tables)
    for name, value in vars(tables).items():
        setattr(draft, name, copy.copy(value))
    return draft


async def restored(executor: Executor, tables: Tables) -> Executor:
    """Start a successor on earlier tables; what was told since then is on the topics."""
    told = (OrderUpdated, OrderFilled, BalancesAdjusted)
    since = [event for event in executor.tables.events[len(tables.events) :] if isinstance(event, told)]
    successor = Executor(exchange=executor.exchange, clock=executor.clock, tables=tables, epoch=9)
    successor.published.records = [as_published(event, offset) for offset, event in enumerate(since)]
    return await successor.start()


async def test_what_happened_in_between_is_there_again_and_nothing_is_sent(executor: Executor, exchange, clock):
    first = an_approval(clock)
    await executor.approve(first)
    earlier = a_copy(executor.tables)
    await executor.approve(an_exit(clock))
    clock.advance(1)
    second = an_approval(clock, signal_id="second", intent_id=uuid.uuid4())
    await executor.approve(second)
    legs = {leg.client_order_id for leg in executor.working(second.intent_id)}
    reader = StreamReader(
        account="main",
        stream=None,  # type: ignore[arg-type]  # events are handed in
        dispatcher=executor.dispatcher,
        reconciler=executor.reconciler,
        transactions=executor.transactions,
    )
    exchange.held["USDT"] += 100
    await reader.take(BalanceTransferred(asset="USDT", delta=Decimal(100), at_ms=epoch_ms(clock.now())))
    requests = list(exchange.requests)

    successor = await restored(executor, earlier)
    third = an_approval(clock, signal_id="third", intent_id=uuid.uuid4(), expires_at=clock.now() + timedelta(hours=1))
    await successor.approve(second)
    await successor.approve(third)

    assert exchange.requests == requests
    assert successor.final_answers(third.intent_id)[0].reason == "HALTED"
    assert set(successor.tables.fills) == set(executor.tables.fills)
    assert successor.tables.ledger == executor.tables.ledger == exchange.held
    assert {leg.client_order_id for leg in successor.working(second.intent_id)} == legs
    assert not is_open(successor, first.intent_id)
    assert [kind for kind, _ in successor.tables.differences] == ["RESTORED"]
    assert [halt.scope_symbol for halt in successor.latch.added] == [None]
    assert len(successor.tables.remembered) == len(successor.published.records)


def is_open(executor: Executor, chain_id: uuid.UUID) -> bool:
    return executor.tables.open_chains[chain_id]


@pytest.mark.parametrize("lists", [0, 1], ids=["exits after their entry", "one list"])
async def test_the_protection_of_a_forgotten_entry_can_be_closed_as_before(
    executor: Executor, exchange, clock, lists: int
):
    exchange.listing = executor.venues.listings["BTC/USDT"] = replace(exchange.listing, oto_allowed=bool(lists))
    earlier = a_copy(executor.tables)
    entry = an_approval(clock, trailing_distance=Decimal(600))
    await executor.approve(entry)
    before = {order.intent_id: order for order in executor.tables.orders.values()}

    successor = await restored(executor, earlier)

    for intent_id, order in successor.tables.orders.items():
        known = before[intent_id]
        assert (order.role, order.approved, order.list_client_order_id, order.client_order_id) == (
            known.role,
            known.approved,
            known.list_client_order_id,
            known.client_order_id,
        )
    assert len(exchange.sent(NewBracket)) == lists
    assert successor.order(entry.intent_id).stop_loss == entry.stop_loss
    assert successor.order(entry.intent_id).take_profit == entry.take_profit
    assert successor.order(entry.intent_id).trailing_distance == entry.trailing_distance
    exchange.execute(next(leg for leg in successor.working(entry.intent_id) if leg.is_stop).client_order_id)
    await successor.reconciler.reconcile()
    await successor.settle()
    assert not is_open(successor, entry.intent_id)


async def test_an_order_that_may_have_been_sent_since_is_looked_for(executor: Executor, clock):
    await executor.approve(an_approval(clock))
    first = next(event for event in executor.events(OrderUpdated) if event.status is Told.PREPARED)

    order = rebuilt(first, None, NO_EXITS, None)

    assert order.is_unresolved
    assert not order.is_unsent


async def test_the_last_word_on_each_order_counts_and_entries_come_first(executor: Executor, clock: FakeClock):
    await executor.approve(an_approval(clock))
    updates = executor.events(OrderUpdated)

    last = latest([*reversed(updates), *updates])

    assert [update.revision for update in last] == [executor.order(update.intent_id).revision for update in last]
    assert [update.parent_intent_id is None for update in last] == [True, False, False]


async def test_a_database_that_knows_everything_is_left_alone(exchange: FakeExchange, clock: FakeClock):
    executor = await Executor(exchange=exchange, clock=clock).start()

    assert not executor.latch.added
    assert not executor.tables.remembered


async def test_an_exit_that_was_sent_after_the_backup_is_looked_for_with_the_quantity_it_was_sent_with(
    executor: Executor, exchange, clock
):
    await executor.approve(an_approval(clock))
    leaving = an_exit(clock)
    await executor.receive(leaving)  # it waits for the end of the protection
    earlier = a_copy(executor.tables)
    waiting = executor.order(leaving.intent_id)
    await executor.settle()
    sent = next(
        event
        for event in executor.events(OrderUpdated)
        if event.intent_id == leaving.intent_id and event.revision == waiting.revision + 1
    )

    order = rebuilt(sent.model_copy(update={"quantity": waiting.quantity * 2}), waiting, NO_EXITS, None)
    successor = await restored(executor, earlier)

    assert waiting.is_unsent
    assert order.is_unresolved
    assert order.quantity == waiting.quantity * 2
    assert len(exchange.sent(NewOrder)) == 2  # the entry and the exit, once
    assert successor.order(leaving.intent_id).filled_quantity == executor.order(leaving.intent_id).quantity


async def test_an_event_that_cannot_be_read_is_left_out_and_told(executor: Executor, exchange, clock):
    earlier = a_copy(executor.tables)
    await executor.approve(an_approval(clock))
    told = executor.events(OrderUpdated)
    successor = Executor(exchange=exchange, clock=clock, tables=earlier, epoch=9)
    records = [as_published(event, offset) for offset, event in enumerate(told)]
    successor.published.records = [replace(records[0], value=b"{}"), *records[1:]]

    await successor.start()

    ((_, row),) = successor.tables.differences.items()
    assert row.found.endswith("; 1 events could not be read")
    assert len(successor.tables.remembered) == len(records)
    assert len(successor.working(an_approval(clock).intent_id)) == 2
