"""The services that only look, as processes over real stores: what is alarmed is told, recorded and stops trading."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from libs.common.audit.anchors import load_public_key, public_key_path, read_anchors
from libs.common.audit.verification import verify
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.topics import TopicName
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.control.file_latch import FileHaltLatch
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from tests.support import wire
from tests.support.archives import NOTHING_ARCHIVED
from tests.support.eventually import eventually
from tests.support.migrated import MigratedDatabase
from tests.support.service_process import running_service, service_environment
from tests.support.stores import KafkaForTests

START_S_MAX = 60.0
"""A start takes two seconds; on a machine that many share, it may take much longer."""

Environment = Callable[[str], dict[str, str]]


def an_alert() -> AlertRaised:
    return AlertRaised(
        occurred_at=datetime.now(UTC),
        alert_type=AlertType.SYSTEM_ERROR,
        severity=Severity.CRITICAL,
        component="trade_executor",
        subject="ctE-test00-1",
        message="an order showed up after its quarantine",
    )


@pytest.fixture
def cluster(kafka: KafkaForTests, topic_prefix: str) -> Kafka:
    return Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)


@pytest.fixture
async def environment(
    kafka: KafkaForTests, cluster: Kafka, migrated: MigratedDatabase, redis_url: str, tmp_path: Path
) -> Environment:
    await apply_topics(cluster)

    def of(role: str) -> dict[str, str]:
        return service_environment(
            kafka=kafka.bootstrap_servers,
            topic_prefix=cluster.topic_prefix,
            postgres_url=migrated.url,
            redis_url=redis_url,
            directory=tmp_path,
            role=role,
        )

    return of


async def rows(database: MigratedDatabase, statement: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(database.url)
    try:
        return [dict(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def test_an_alert_is_told_in_every_channel_that_can_deliver(
    cluster: Kafka, environment: Environment, migrated: MigratedDatabase
):
    async def told() -> list[dict[str, Any]]:
        return await rows(migrated, "SELECT channel, title FROM reading.notifications WHERE state = 'SENT'")

    await wire.write(cluster, an_alert())
    async with running_service("services.notifier", environment("notifier")):
        sent = await eventually(told, seconds=START_S_MAX, what="a notification")

    assert {row["channel"] for row in sent} <= {"dashboard", "log"}
    assert all(row["title"] for row in sent)


async def test_every_message_is_recorded_once_over_restarts_and_anchored_at_the_end(
    cluster: Kafka, environment: Environment, migrated: MigratedDatabase, tmp_path: Path
):
    anchors_file = tmp_path / "anchors.jsonl"
    settings = {**environment("audit_recorder"), "TRADER_ANCHORS_FILE": str(anchors_file)}

    async def recorded() -> list[dict[str, Any]]:
        return await rows(migrated, "SELECT offset_last FROM reading.audit WHERE topic = 'alerts' ORDER BY 1")

    for _ in range(2):
        before = len(await recorded())
        await wire.write(cluster, an_alert())
        async with running_service("services.audit_recorder", settings):
            await eventually(partial(_more, recorded, before), seconds=START_S_MAX, what="the record of an alert")

    anchors = read_anchors(anchors_file, load_public_key(public_key_path(tmp_path / "audit-anchor-key")))
    database = await migrated.connect("reader")
    async with database.connection() as connection:
        verification = await verify(connection, shelf=NOTHING_ARCHIVED, anchors=anchors)
    await database.close()
    assert verification.verified
    assert verification.anchors >= 1
    assert len(await recorded()) == 2


async def test_a_silent_executor_is_alarmed_and_stops_trading(cluster: Kafka, environment: Environment, tmp_path: Path):
    answers: list[int] = []
    healthy = True

    async def health(_: web.Request) -> web.Response:
        answers.append(200 if healthy else 503)
        return web.Response(status=answers[-1])

    async def asked() -> bool:
        return len(answers) > 1

    async def halts() -> list[str]:
        return [halt.reason for halt in await latch.read()]

    application = web.Application()
    application.router.add_get("/healthz", health)
    latch = FileHaltLatch(tmp_path / "halt")
    async with TestServer(application) as server:
        settings = {
            **environment("reader"),
            "TRADER_TARGETS": f'{{"trade_executor": "{server.make_url("/")}"}}',
            "TRADER_POLL_INTERVAL_S": "0.1",
            "TRADER_ALERT_AFTER_S": "0.5",
            "TRADER_HALT_AFTER_S": "1",
        }
        async with running_service("services.watchdog", settings):
            await eventually(asked, seconds=START_S_MAX, what="a poll")
            assert await halts() == []
            healthy = False
            (reason,) = await eventually(halts, what="a halt")
            alerts = await wire.events_arrive(cluster, TopicName.ALERTS, 1)

    assert "trade_executor" in reason
    assert {alert.event.component for alert in alerts} == {"watchdog"}


async def _more(probe: Callable[[], Any], than: int) -> bool:
    return len(await probe()) > than
