"""What a process lends its service works, shows in its readiness and is told to the others."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from libs.common.configuration import TradingConfiguration
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised, MarketStatusChanged, OrderFilled
from libs.common.contracts.topics import TopicName
from libs.common.errors import ConfigurationError
from libs.common.messaging.positions import Position, Positions
from libs.common.messaging.records import RawRecord
from libs.common.runtime import Runtime
from libs.common.runtime.running import run
from libs.common.settings import ServiceSettings
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.migrated import PASSWORD
from tests.support.owners import CLOCK, ROLE, Installation, Tally, a_fill, add_fill
from tests.support.wire import create_topics, events_arrive, running, write

TOPICS = (TopicName.HEARTBEATS, TopicName.LOGS, TopicName.MARKET_STATUS)


@pytest.fixture
async def settings(installation: Installation, redis_url: str, tmp_path: Path) -> ServiceSettings:
    await create_topics(installation.kafka, *TOPICS)
    redis, postgres = urlsplit(redis_url), urlsplit(installation.migrated.url)
    (tmp_path / f"postgres-{ROLE}").write_text(PASSWORD)
    (tmp_path / "redis").write_text(redis.password or "")
    return ServiceSettings(
        kafka_bootstrap_servers=installation.kafka.bootstrap_servers,
        topic_prefix=installation.kafka.topic_prefix,
        postgres_address=f"{postgres.hostname}:{postgres.port}{postgres.path}",
        redis_address=f"{redis.hostname}:{redis.port}{redis.path}",
        secrets_dir=tmp_path,
    )


@pytest.fixture
async def runtime(settings: ServiceSettings) -> AsyncIterator[Runtime[ServiceSettings]]:
    runtime = Runtime(ROLE, settings, TradingConfiguration(), CLOCK)
    async with running(runtime.publisher.run(), runtime.health.run_checks()):
        yield runtime


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_everything_that_is_lent_is_a_condition_of_readiness(
    runtime: Runtime[ServiceSettings], installation: Installation
) -> None:
    seen: list[Event] = []

    async def observe(envelope: Envelope[AlertRaised]) -> None:
        seen.append(envelope.event)

    async def answer(_: Envelope[MarketStatusChanged]) -> Sequence[Event]:
        return ()

    async with runtime.database() as database, runtime.redis() as store:
        owner = runtime.owner(
            database=database, topics=(TopicName.FILLS,), handlers={OrderFilled: add_fill}, bind=Tally
        )
        reader = runtime.reader(topics=(TopicName.ALERTS,), observers={AlertRaised: observe})
        group = runtime.group(topics=(TopicName.MARKET_STATUS,), handlers={MarketStatusChanged: answer})
        assert sorted(runtime.health.failing()) == ["group", "owner", "postgres", "reader", "redis"]

        async with running(owner.run(), reader.run(), group.run()):
            await eventually(lambda: _is_ready(runtime))
            await write(installation.kafka, a_fill(1))
            await eventually(lambda: _holds(bool(seen)))

        assert await installation.tally() == 1
        assert await store.ping()


async def test_a_recorder_is_a_condition_too(runtime: Runtime[ServiceSettings], installation: Installation) -> None:
    async def record(records: Sequence[RawRecord], tally: Tally) -> Positions:
        await tally.add("main", Decimal(len(records)))
        return {(record.topic, record.partition): Position(record.offset + 1, "") for record in records}

    await write(installation.kafka, a_fill(1), a_fill(2))
    async with runtime.database() as database:
        owner = runtime.batch_owner(database=database, topics=(TopicName.FILLS,), handle=record, bind=Tally)
        async with running(owner.run()):
            await eventually(lambda: _is_ready(runtime))
            await eventually(lambda: _stands_at(installation, 2))

    assert await installation.tally() == 2


async def test_a_heartbeat_tells_progress_readiness_and_lag(
    runtime: Runtime[ServiceSettings], installation: Installation
) -> None:
    runtime.report_lag(lambda: {"fills": 3, "alerts": 1})
    runtime.report_lag(lambda: {"fills": 4})

    await runtime.beat()
    await runtime.beat()

    first, second = (beat.event for beat in await events_arrive(installation.kafka, TopicName.HEARTBEATS, 2))
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.lag == {"fills": 7, "alerts": 1}
    assert not first.ready
    assert first.configuration_hash == TradingConfiguration().hash


async def test_a_full_buffer_costs_heartbeats_and_log_lines_and_nothing_else(settings: ServiceSettings) -> None:
    runtime = Runtime(ROLE, settings, TradingConfiguration(), FakeClock())
    runtime.publisher._records_max = 0

    await runtime.beat()
    runtime.forward_log("INFO", "Something", {})

    assert len(runtime.publisher._buffer) == 0


@pytest.mark.usefixtures("_logging_as_before")
async def test_a_process_logs_beats_and_ends_in_order(settings: ServiceSettings, installation: Installation) -> None:
    async def serve(runtime: Runtime[ServiceSettings]) -> None:
        await events_arrive(installation.kafka, TopicName.HEARTBEATS, 1)
        runtime.stopping.set()
        await asyncio.Event().wait()

    assert await run(ROLE, settings, TradingConfiguration(), CLOCK, serve) == 0

    lines = [line.event.message for line in await events_arrive(installation.kafka, TopicName.LOGS, 3)]
    assert lines[0] == "Started"
    assert lines[-2:] == ["Stopping", "Stopped"]


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, 1),
        (KeyError("a bug"), 1),
        (ConfigurationError(where="a file", expected="a key", found="none"), 4),
        (ExceptionGroup("tasks", [KeyError(), ConfigurationError(where="a", expected="b", found="c")]), 4),
    ],
    ids=["ends by itself", "bug", "configuration", "configuration in a task"],
)
async def test_how_a_service_ends_decides_the_exit_status(
    settings: ServiceSettings, error: Exception | None, status: int
) -> None:
    async def serve(_: Any) -> None:
        if error is not None:
            raise error

    assert await run(ROLE, settings, TradingConfiguration(), CLOCK, serve) == status


async def _is_ready(runtime: Runtime[ServiceSettings]) -> bool:
    return runtime.health.ready


async def _holds(fact: object) -> bool:
    return bool(fact)


async def _stands_at(installation: Installation, offset: int) -> bool:
    return await installation.next_offset() == offset
