"""Each input has its effect once, whatever is repeated, lost or refused on the way."""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial

import pytest

from libs.common.contracts.codec import WireRecord
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import MessageDeadLettered, OrderFilled
from libs.common.contracts.topics import TopicName
from libs.common.errors import InvalidMessageError, RetryableError
from libs.common.messaging.sealing import CommittedUnseenError
from tests.support.eventually import eventually
from tests.support.owners import DeafProducer, ForgetfulDatabase, Installation, Tally, a_fill, add_fill, an_alert
from tests.support.wire import events_arrive, events_on, read, running, write, write_records


async def test_an_input_its_effect_its_answer_and_its_offset_are_one(installation: Installation) -> None:
    fills = await write(installation.kafka, a_fill(1), a_fill(2, account="other"), a_fill(3))

    async with installation.owner() as owner, running(owner.run()):
        answers = await events_arrive(installation.kafka, TopicName.ALERTS, 3)

        assert await installation.tally("main") == 2
        assert await installation.tally("other") == 1
        assert await installation.next_offset() == 3
        causes = {answer.event.subject: (answer.causation_id, answer.correlation_id) for answer in answers}
        assert causes == {str(fill.event.trade_id): (fill.event_id, fill.correlation_id) for fill in fills}
        assert await owner.answered()


async def test_a_restarted_owner_continues_after_the_last_effect(installation: Installation) -> None:
    await write(installation.kafka, *map(a_fill, range(5)))
    async with installation.owner() as owner, running(owner.run()):
        await events_arrive(installation.kafka, TopicName.ALERTS, 5)

    await write(installation.kafka, *map(a_fill, range(5, 8)))
    async with installation.owner(holder="two") as owner, running(owner.run()):
        await events_arrive(installation.kafka, TopicName.ALERTS, 8)

        assert await installation.tally() == 8
        assert owner.epoch == 2


async def test_what_was_committed_but_not_published_is_published_by_the_next_owner(installation: Installation) -> None:
    await write(installation.kafka, a_fill(1), a_fill(2))
    deaf = DeafProducer(installation.kafka)
    async with installation.owner(producer=deaf) as owner, running(owner.run()):
        await eventually(partial(_continues_at, installation, 2))
    assert await events_on(installation.kafka, TopicName.ALERTS) == []
    written = await installation.fetchval("SELECT array_agg(headers->>'event_id' ORDER BY sequence) FROM outbox")

    async with installation.owner(holder="two") as owner, running(owner.run()):
        answers = await events_arrive(installation.kafka, TopicName.ALERTS, 2)
        await eventually(partial(_nothing_unpublished, installation))

    assert [str(answer.event_id) for answer in answers] == written
    assert await installation.tally() == 2


async def test_a_commit_whose_answer_was_lost_is_not_repeated(installation: Installation) -> None:
    await write(installation.kafka, a_fill(1))
    database = await ForgetfulDatabase.connect(installation.dsn, application="one")
    assert isinstance(database, ForgetfulDatabase)
    database.losses = 1
    owner = await installation.owner_of(database)

    try:
        with pytest.RaisesGroup(CommittedUnseenError):
            await owner.run()
    finally:
        await database.close()

    assert await installation.tally() == 1
    assert await installation.next_offset() == 1


async def test_a_commit_of_other_inputs_whose_answer_was_lost_ends_the_owner(installation: Installation) -> None:
    database = await ForgetfulDatabase.connect(installation.dsn, application="one")
    assert isinstance(database, ForgetfulDatabase)
    done: list[str] = []

    async def work(tally: Tally) -> Sequence[Event]:
        owner.after_commit(lambda: done.append("never"))
        await tally.add("main", Decimal(7))
        return ()

    owner = await installation.owner_of(database)
    try:
        async with running(owner.run()):
            await eventually(partial(_is_owner, owner))
            database.losses = 1
            with pytest.raises(CommittedUnseenError):
                await owner.apply(work)
    finally:
        await database.close()

    assert await installation.tally() == 7
    assert done == []


async def test_a_look_that_goes_unanswered_may_be_repeated(installation: Installation) -> None:
    database = await ForgetfulDatabase.connect(installation.dsn, application="one")
    assert isinstance(database, ForgetfulDatabase)

    async def look(tally: Tally) -> Sequence[Event]:
        await tally.transaction.fetchval("SELECT count(*) FROM tally")
        return ()

    owner = await installation.owner_of(database)
    try:
        async with running(owner.run()):
            await eventually(partial(_is_owner, owner))
            database.losses = 1
            with pytest.raises(RetryableError):
                await owner.apply(look)
            await owner.apply(look)
    finally:
        await database.close()


async def test_a_retryable_error_commits_nothing_and_the_message_is_tried_again(installation: Installation) -> None:
    attempts = 0

    async def recovers(envelope: Envelope[OrderFilled], tally: Tally) -> Sequence[Event]:
        nonlocal attempts
        attempts += 1
        answers = await add_fill(envelope, tally)
        if attempts < 4:
            raise RetryableError("expected the exchange, found nobody")
        return answers

    await write(installation.kafka, a_fill(1), a_fill(2))
    async with installation.owner(handlers={OrderFilled: recovers}) as owner, running(owner.run()):
        await eventually(partial(_continues_at, installation, 2))

    assert attempts == 5  # three failures and a success of the first, one success of the second
    assert await installation.tally() == 2


@pytest.mark.parametrize(
    ("headers", "value", "reason"),
    [
        ((), b"{}", "unknown event type"),
        ((("event_type", b"OrderFilled"), ("schema_version", b"99")), b"{}", "unknown schema version"),
        ((("event_type", b"OrderFilled"), ("schema_version", b"1")), b"\xff\x00", "malformed event"),
        ((("event_type", b"OrderFilled"), ("schema_version", b"1")), b'{"price": "NaN"}', "malformed event"),
    ],
)
async def test_a_poison_message_becomes_a_dead_letter_and_blocks_nothing(
    installation: Installation, headers: tuple[tuple[str, bytes], ...], value: bytes, reason: str
) -> None:
    await write_records(installation.kafka, [WireRecord(TopicName.FILLS, "main", value, headers)])
    await write(installation.kafka, a_fill(1))

    async with installation.owner() as owner, running(owner.run()):
        (letter,) = await events_arrive(installation.kafka, TopicName.DEAD_LETTERS, 1)
        await eventually(partial(_continues_at, installation, 2))

    assert isinstance(letter.event, MessageDeadLettered)
    assert (letter.event.topic, letter.event.offset, letter.event.reason) == ("fills", 0, reason)
    assert await installation.tally() == 1


async def test_what_a_handler_calls_invalid_leaves_no_effect_but_a_dead_letter(installation: Installation) -> None:
    async def refuses(envelope: Envelope[OrderFilled], tally: Tally) -> Sequence[Event]:
        await add_fill(envelope, tally)
        if envelope.event.trade_id == 1:
            raise InvalidMessageError("foreign fill", expected="our order", found="another's")
        return []

    await write(installation.kafka, a_fill(1), a_fill(2))
    async with installation.owner(handlers={OrderFilled: refuses}) as owner, running(owner.run()):
        (letter,) = await events_arrive(installation.kafka, TopicName.DEAD_LETTERS, 1)
        await eventually(partial(_continues_at, installation, 2))

    assert letter.event.reason == "foreign fill"
    assert await installation.tally() == 1


async def test_events_that_nobody_handles_only_move_the_offset(installation: Installation) -> None:
    await write(installation.kafka, a_fill(1), a_fill(2))

    async with installation.owner(handlers={}) as owner, running(owner.run()):
        await eventually(partial(_continues_at, installation, 2))

    assert await read(installation.kafka, TopicName.ALERTS) == []


async def test_any_other_error_ends_the_owner_and_commits_nothing(installation: Installation) -> None:
    async def fails(_: Envelope[OrderFilled], tally: Tally) -> Sequence[Event]:
        await tally.add("main", Decimal(1))
        raise KeyError("a bug")

    await write(installation.kafka, a_fill(1))
    async with installation.owner(handlers={OrderFilled: fails}) as owner:
        with pytest.RaisesGroup(KeyError):
            await owner.run()

    assert await installation.tally() == 0
    assert await installation.next_offset() == 0


async def test_an_input_that_is_no_message_goes_through_the_same_transaction(installation: Installation) -> None:
    done: list[str] = []

    async def work(tally: Tally) -> Sequence[Event]:
        owner.after_commit(lambda: done.append("after the commit"))
        await tally.add("main", Decimal(7))
        return [an_alert("applied")]

    async with installation.owner() as owner, running(owner.run()):
        await eventually(partial(_is_owner, owner))
        await owner.apply(work)
        (answer,) = await events_arrive(installation.kafka, TopicName.ALERTS, 1)

    assert answer.event.subject == "applied"
    assert await installation.tally() == 7
    assert done == ["after the commit"]


async def test_nothing_runs_after_a_transaction_that_did_not_commit(installation: Installation) -> None:
    done: list[str] = []

    async def fails(_: Tally) -> Sequence[Event]:
        owner.after_commit(lambda: done.append("never"))
        raise RetryableError("expected a commit, found a failure")

    async def succeeds(_: Tally) -> Sequence[Event]:
        return ()

    async with installation.owner() as owner, running(owner.run()):
        await eventually(partial(_is_owner, owner))
        with pytest.raises(RetryableError):
            await owner.apply(fails)
        await owner.apply(succeeds)

    assert done == []


async def test_recovery_comes_before_the_first_message(installation: Installation) -> None:
    seen: list[str] = []

    async def recover() -> None:
        async def work(tally: Tally) -> Sequence[Event]:
            seen.append(f"recovered at {await tally.transaction.fetchval('SELECT count(*) FROM consumer_offsets')}")
            return ()

        await owner.apply(work)

    async def handle(envelope: Envelope[OrderFilled], _: Tally) -> Sequence[Event]:
        seen.append(f"fill {envelope.event.trade_id}")
        return ()

    await write(installation.kafka, a_fill(1))
    async with installation.owner(on_owned=recover, handlers={OrderFilled: handle}) as owner, running(owner.run()):
        await eventually(partial(_continues_at, installation, 1))

    assert seen == ["recovered at 0", "fill 1"]


async def _continues_at(installation: Installation, offset: int) -> bool:
    return await installation.next_offset() == offset


async def _nothing_unpublished(installation: Installation) -> bool:
    return bool(await installation.fetchval("SELECT count(*) = 0 FROM outbox WHERE published_at IS NULL"))


async def _is_owner(owner: object) -> bool:
    return bool(getattr(owner, "is_owner", False))
