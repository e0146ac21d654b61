"""An owner notices that its topic is not the one it read, and outlives the broker."""

import asyncio
import os
import signal
from functools import partial

import pytest

from libs.common.contracts.topics import TopicName
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.positions import TopicReplacedError
from tests.support.eventually import eventually
from tests.support.owners import Installation, a_fill
from tests.support.stores import StoreHost
from tests.support.wire import create_topics, delete_topics, events_arrive, running, truncate, write


@pytest.mark.parametrize("records_after", [0, 1, 3], ids=["emptier", "shorter", "longer"])
async def test_a_recreated_topic_stops_the_owner(installation: Installation, records_after: int) -> None:
    await _handle(installation, *range(2))
    await delete_topics(installation.kafka, TopicName.FILLS)
    await create_topics(installation.kafka, TopicName.FILLS)
    await write(installation.kafka, *map(a_fill, range(10, 10 + records_after)))

    async with installation.owner(holder="two") as owner:
        with pytest.RaisesGroup(TopicReplacedError):
            await asyncio.wait_for(owner.run(), timeout=20)

    assert await installation.tally() == 2


async def test_a_topic_recreated_under_a_running_owner_stops_it(installation: Installation) -> None:
    await write(installation.kafka, a_fill(1), a_fill(2))
    async with installation.owner() as owner:
        working = asyncio.ensure_future(owner.run())
        await events_arrive(installation.kafka, TopicName.ALERTS, 2)

        await delete_topics(installation.kafka, TopicName.FILLS)
        await create_topics(installation.kafka, TopicName.FILLS)

        with pytest.RaisesGroup(TopicReplacedError):
            await asyncio.wait_for(working, timeout=40)
    assert await installation.tally() == 2


async def test_unread_records_that_are_gone_stop_the_owner(installation: Installation) -> None:
    await _handle(installation, 1)
    await write(installation.kafka, *map(a_fill, range(2, 5)))
    await truncate(installation.kafka, TopicName.FILLS, before=3)

    async with installation.owner(holder="two") as owner:
        with pytest.RaisesGroup(TopicReplacedError):
            await asyncio.wait_for(owner.run(), timeout=20)


async def test_a_topic_from_which_only_read_records_are_gone_is_continued(installation: Installation) -> None:
    await _handle(installation, 1, 2)
    await truncate(installation.kafka, TopicName.FILLS, before=2)
    await write(installation.kafka, a_fill(3))

    async with installation.owner(holder="two") as owner, running(owner.run()):
        await events_arrive(installation.kafka, TopicName.ALERTS, 3)

    assert await installation.tally() == 3


async def test_a_killed_broker_costs_and_doubles_nothing(installation: Installation, store_host: StoreHost) -> None:
    async with installation.owner() as owner, running(owner.run()):
        await write(installation.kafka, *map(a_fill, range(3)))
        await events_arrive(installation.kafka, TopicName.ALERTS, 3)

        pid = store_host.processes()["kafka"].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await eventually(partial(_lives_again, store_host, pid), seconds=60, what="another life of the broker")
        await eventually(partial(_takes_a_fill, installation.kafka), seconds=60, what="a broker that answers")

        answers = await events_arrive(installation.kafka, TopicName.ALERTS, 4, seconds=40)
        assert await installation.tally() == 4
        assert len({answer.event_id for answer in answers}) == 4
        await eventually(owner.answered, what="readiness after the restart")


async def _handle(installation: Installation, *trade_ids: int) -> None:
    """Let an owner handle fills and end."""
    await write(installation.kafka, *map(a_fill, trade_ids))
    async with installation.owner() as owner, running(owner.run()):
        await events_arrive(installation.kafka, TopicName.ALERTS, len(trade_ids))


async def _lives_again(store_host: StoreHost, pid: int) -> bool:
    status = store_host.processes()["kafka"]
    return status.ready and status.pid not in {None, pid}


async def _takes_a_fill(kafka: Kafka) -> bool:
    return await kafka.ping() and bool(await write(kafka, a_fill(3)))
