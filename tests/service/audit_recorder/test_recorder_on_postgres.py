"""The recorder on a real database: what it writes verifies, cannot be changed by it, and can be read as a story."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.audit.anchors import AnchorLog, load_or_create_key, read_anchors
from libs.common.audit.explanation import explain
from libs.common.audit.findings import Verification
from libs.common.audit.verification import verify
from libs.common.configuration import parse_configuration
from libs.common.contracts.events import (
    CandleClosed,
    ConfigurationChanged,
    HeartbeatSent,
    OrderFilled,
    TradingStateChanged,
)
from libs.common.contracts.topics import TopicName
from libs.common.contracts.vocabulary import TradingState
from libs.common.messaging.positions import Position
from libs.common.messaging.records import RawRecord
from libs.common.storage.postgres import Database
from services.audit_recorder.adapters import PostgresHeads, PostgresRepositories
from services.audit_recorder.service import Anchoring, AuditRecorder
from tests.support.archives import NOTHING_ARCHIVED
from tests.support.clock import FakeClock
from tests.support.events import every_event
from tests.support.migrated import MigratedDatabase
from tests.support.order_story import an_order_story
from tests.support.raw_records import AT, a_raw_record, record_of, records_of

FOLLOWED: list[ConfigurationChanged] = []
RECORDER = AuditRecorder(follow=FOLLOWED.append)


def a_version(version: int, **sections: Any) -> ConfigurationChanged:
    configuration = parse_configuration(sections, where="test")
    return ConfigurationChanged(
        occurred_at=AT,
        version=version,
        configuration=configuration.canonical,
        hash=configuration.hash,
        issuer="operator",
    )


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("audit_recorder")
    yield database
    await database.close()


@pytest.fixture
async def reader(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("reader")
    yield database
    await database.close()


async def record(database: Database, records: Sequence[RawRecord]) -> None:
    async with database.transaction() as connection:
        await RECORDER.on_records(records, PostgresRepositories(connection))


async def verified(reader: Database, **options: object) -> Verification:
    async with reader.connection() as connection:
        return await verify(connection, shelf=NOTHING_ARCHIVED, **options)  # type: ignore[arg-type]  # passed through


async def as_superuser(migrated: MigratedDatabase, *statements: str) -> None:
    """Do what only the database's owner could: the tampering that the chain must show."""
    connection = await asyncpg.connect(migrated.url)
    try:
        for table in ("audit_log", "chain_heads"):
            await connection.execute(f"ALTER TABLE audit_recorder.{table} DISABLE TRIGGER USER")
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def fills(count: int) -> list[RawRecord]:
    example = next(event for event in every_event() if isinstance(event, OrderFilled))
    return [record_of(example.model_copy(update={"trade_id": number}), offset=number) for number in range(count)]


async def test_every_event_is_recorded_and_verifies(database, reader):
    events = every_event()

    await record(database, records_of(events))

    result = await verified(reader)
    ticks = 2  # in the open digest
    assert result.verified
    assert result.events == len(events) - ticks
    assert result.first_broken is None


async def test_a_batch_continues_after_its_last_message_of_each_partition(database):
    records = [*fills(2), a_raw_record(topic=TopicName.CONTROL, value=b"rubbish", offset=4)]

    async with database.transaction() as connection:
        positions = await RECORDER.on_records(records, PostgresRepositories(connection))

    event_id = dict(records[1].headers)["event_id"].decode()
    assert positions == {
        (TopicName.FILLS, 0): Position(2, event_id),
        (TopicName.CONTROL, 0): Position(5, ""),
    }


async def test_recording_again_after_a_restart_adds_nothing(database, reader):
    await record(database, fills(3))
    await record(database, fills(5))

    result = await verified(reader)

    assert (result.events, result.verified) == (5, True)


async def test_a_digest_goes_on_where_a_restart_left_it(database, reader):
    ticks = [
        a_raw_record(
            topic=TopicName.MARKET_TICKS, offset=offset, value=b"tick", written_at=AT + timedelta(seconds=offset * 25)
        )
        for offset in range(4)
    ]

    for tick in ticks:
        await record(database, [tick])

    async with reader.connection() as connection:
        rows = await connection.fetch("SELECT offset_first, offset_last, kind FROM audit ORDER BY offset_last")
        recorded = await connection.fetchval("SELECT offset_recorded FROM audit_heads")
    assert [tuple(row) for row in rows] == [(0, 2, "DIGEST")]  # 0, 25 and 50 s; 75 s is in the next minute
    assert recorded == 3
    assert (await verified(reader)).verified


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET payload = ''",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "SELECT count(*) FROM audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER USER",
        "DROP TABLE audit_log",
    ],
)
async def test_the_recorders_own_role_can_only_add(database, statement):
    await record(database, fills(1))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.connection() as connection:
            await connection.execute(statement)


@pytest.mark.parametrize("statement", ["UPDATE {} SET payload = ''", "DELETE FROM {}", "TRUNCATE {}"])
async def test_even_the_tables_owner_is_refused_by_the_trigger(migrated, database, statement):
    await record(database, fills(1))
    connection = await asyncpg.connect(migrated.url)

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await connection.execute(statement.format("audit_recorder.audit_log"))

    await connection.close()


@pytest.mark.parametrize(
    ("tampering", "offset"),
    [
        ("UPDATE audit_recorder.audit_log SET payload = replace(payload, '\"trade_id\":3', '\"trade_id\":4')", 3),
        ("UPDATE audit_recorder.audit_log SET recorded_at = recorded_at + interval '1 us' WHERE offset_last = 2", 2),
        ("DELETE FROM audit_recorder.audit_log WHERE offset_last = 4", 4),
        ("DELETE FROM audit_recorder.audit_log WHERE offset_last >= 8", 8),
        ("DELETE FROM audit_recorder.audit_log", 0),
    ],
)
async def test_tampering_is_named_at_its_place(migrated, database, reader, tampering, offset):
    await record(database, fills(10))

    await as_superuser(migrated, tampering)

    result = await verified(reader)
    assert result.first_broken is not None
    assert (result.first_broken.topic, result.first_broken.offset) == ("fills", offset)


async def test_anchors_show_a_tail_that_was_cut_off_together_with_its_head(migrated, database, reader, tmp_path):
    await record(database, fills(10))
    key = load_or_create_key(tmp_path / "key")
    anchoring = Anchoring(heads=PostgresHeads(database), log=AnchorLog(tmp_path / "anchors", key), clock=FakeClock())
    await anchoring.write()
    async with database.connection() as connection:
        hash_then = await connection.fetchval("SELECT hash FROM chain_heads")
    await record(database, fills(12))

    await as_superuser(
        migrated,
        "DELETE FROM audit_recorder.audit_log WHERE offset_last >= 5",
        "UPDATE audit_recorder.chain_heads SET offset_last = 4, hash ="
        " (SELECT hash FROM audit_recorder.audit_log WHERE offset_last = 4)",
    )

    anchors = read_anchors(tmp_path / "anchors", key.public_key())
    assert [entry for entries in anchors.heads.values() for entry in entries] == [(9, hash_then)]
    assert (await verified(reader)).verified  # without anchors nothing shows it
    result = await verified(reader, anchors=anchors)
    assert result.first_broken is not None
    assert result.first_broken.offset == 5


@pytest.mark.parametrize("name", ["ctE-abc123-x", "77", "wish", str(UUID(int=1)), "ctP-abc123-x"])
async def test_an_orders_story_is_told_from_the_candle_to_its_fills_by_any_of_its_names(database, reader, name):
    await record(database, an_order_story())

    async with reader.connection() as connection:
        story = await explain(connection, name, shelf=NOTHING_ARCHIVED)

    told = [step.event_type for step in story]
    assert told[0] == "CandleClosed"
    assert told[-1] == "OrderFilled"
    assert sorted(told) == sorted(
        [
            "CandleClosed",
            "SignalGenerated",
            "OrderApproved",
            *["OrderUpdated"] * 2,
            *["OrderFilled"] * 2,
            "PositionChanged",
        ]
    )
    assert story[0].content["ask"] == "61234.56"  # the quote that it was decided on


async def test_an_unknown_order_has_no_story(reader):
    async with reader.connection() as connection:
        assert await explain(connection, "no such order", shelf=NOTHING_ARCHIVED) == ()


async def test_a_signal_is_executed_at_the_average_price_whichever_event_comes_first(database, reader):
    story = an_order_story()

    for one in reversed(story):  # the order's update before the signal
        await record(database, [one])

    async with reader.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM signals WHERE signal_id = 'wish'")
    assert row is not None
    assert (row["signal_type"], row["executed"], row["execution_price"]) == ("BUY", True, Decimal("100.5"))  # 201 / 2
    assert row["executed_at"] is not None
    assert row["entry_price"] == Decimal("61234.56")


async def test_a_hold_is_a_signal_that_is_never_executed(database, reader):
    await record(database, records_of(every_event()))

    async with reader.connection() as connection:
        row = await connection.fetchrow("SELECT executed, confidence_score FROM signals WHERE signal_type = 'HOLD'")
    assert row is not None
    assert not row["executed"]


async def test_a_backfilled_candle_replaces_a_partial_one_once(database, reader):
    example = next(event for event in every_event() if isinstance(event, CandleClosed))
    partial = example.model_copy(update={"partial": True, "trades": 1})
    filled = example.model_copy(update={"backfilled": True, "trades": 9})

    for offset, candle in enumerate([partial, filled, partial]):
        await record(database, [record_of(candle, offset=offset)])

    async with reader.connection() as connection:
        rows = await connection.fetch("SELECT partial, backfilled, trades FROM candles")
    assert [tuple(row) for row in rows] == [(False, True, 9)]


async def test_a_components_status_is_its_newest_heartbeat_and_its_dead_predecessor_disappears(database, reader):
    example = next(event for event in every_event() if isinstance(event, HeartbeatSent))
    old = example.model_copy(update={"component": "a", "instance": "h:1", "occurred_at": AT, "started_at": AT})
    later = AT + timedelta(seconds=61)
    new = old.model_copy(update={"instance": "h:2", "occurred_at": later, "started_at": later})

    await record(database, [record_of(old, offset=0)])
    await record(database, [record_of(new, offset=1)])

    async with reader.connection() as connection:
        current = await connection.fetch("SELECT instance FROM system_status WHERE component = 'a'")
        minutes = await connection.fetchval("SELECT count(*) FROM system_status_history WHERE component = 'a'")
    assert [row["instance"] for row in current] == ["h:2"]
    assert minutes == 2


async def test_the_configuration_is_written_when_it_changes_and_shows_whether_trading_is_on(database, reader):
    example = next(event for event in every_event() if isinstance(event, TradingStateChanged))
    active = example.model_copy(update={"account": "main", "state": TradingState.ACTIVE})
    first, other = a_version(1), a_version(2, engine={"trading_interval": 60, "trading_mode": "MODERATE"})

    for offset, event in enumerate((first, active, first, other, active)):
        await record(database, [record_of(event, offset=offset)])

    async with reader.connection() as connection:
        rows = await connection.fetch("SELECT * FROM auto_trading_config ORDER BY id")
    assert [(row["configuration_version"], row["trading_interval"]) for row in rows] == [(1, 300), (2, 60)]
    assert [(row["trading_mode"], row["is_enabled"]) for row in rows] == [("CONSERVATIVE", True), ("MODERATE", True)]
    assert rows[1]["max_daily_loss_pct"] == Decimal("4.0")
    assert rows[0]["symbols"] == '["BTC/USDT","ETH/USDT"]'
    assert FOLLOWED[-1] == other


async def test_a_configuration_of_another_program_is_recorded_and_has_no_row(database, reader):
    await record(database, [record_of(a_version(1).model_copy(update={"configuration": '{"from": "the future"}'}))])

    async with reader.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM auto_trading_config") == 0
        assert await connection.fetchval("SELECT count(*) FROM audit WHERE event_type = 'ConfigurationChanged'") == 1
