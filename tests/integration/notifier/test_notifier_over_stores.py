"""The notifier as a process over real stores: alerts reach a mail server, people answer, and no address is seen."""

import asyncio
import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.control.commands import issue_command
from libs.common.control.operators import OperatorKey, Operators
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from tests.support import wire
from tests.support.eventually import eventually
from tests.support.migrated import MigratedDatabase
from tests.support.receivers import mail_server, web_server
from tests.support.service_process import service_environment
from tests.support.stores import KafkaForTests

pytestmark = pytest.mark.timeout(400)
CANARY = "canary0123456789secret"
ARRIVED_S_MAX = 90.0


def an_emergency() -> AlertRaised:
    return AlertRaised(
        occurred_at=datetime.now(UTC),
        alert_type=AlertType.EMERGENCY_STOP,
        severity=Severity.CRITICAL,
        component="risk_manager",
        subject="halt-1",
        message="halted everything of main",
        account="main",
    )


async def test_an_emergency_reaches_people_is_acknowledged_and_nobody_sees_an_address(
    kafka: KafkaForTests, topic_prefix: str, migrated: MigratedDatabase, redis_url: str, tmp_path: Path
):
    cluster = Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)
    await apply_topics(cluster)
    key = OperatorKey.generate()
    Operators({}).with_key(key, issuer="operator").save(tmp_path / "operators.json")
    (tmp_path / "alertmanager-webhook").write_text("webhook-token\n")
    environment = service_environment(
        kafka=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        postgres_url=migrated.url,
        redis_url=redis_url,
        directory=tmp_path,
        role="notifier",
    )
    log = tmp_path / "notifier.log"

    async def row(statement: str) -> Any:
        connection = await asyncpg.connect(migrated.url)
        try:
            return await connection.fetchrow(statement)
        finally:
            await connection.close()

    async with mail_server() as mail, web_server() as web:
        addresses = {"email": mail.address, "hook": web.address(f"rude/{CANARY}"), "sms": f"no-such://{CANARY}"}
        (tmp_path / "notification-channels").write_text(json.dumps(addresses))
        with log.open("wb") as lines:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.notifier"),
                env={
                    **os.environ,
                    **environment,
                    "TRADER_OPERATORS_FILE": str(tmp_path / "operators.json"),
                    "TRADER_LOG_LEVEL": "DEBUG",
                },
                stderr=lines,
            )
        try:
            await wire.write(cluster, an_emergency())

            async def refused() -> Any:
                return mail.received and await row("SELECT * FROM reading.notifications WHERE reason LIKE '%403%'")

            assert await eventually(refused, seconds=ARRIVED_S_MAX, what="a mail, and a refusal of the hook")
            alert = await row("SELECT event_id, unacknowledged FROM reading.alerts")
            assert alert["unacknowledged"]
            command = issue_command(
                "ACKNOWLEDGE",
                account="main",
                reason="seen",
                issuer="operator",
                key=key,
                command_id=uuid.uuid4(),
                now=SystemClock().now(),
                alert=alert["event_id"],
            )
            await wire.write(cluster, command)

            async def acknowledged() -> Any:
                return await row(
                    "SELECT * FROM reading.alerts WHERE acknowledged_by = 'operator' AND NOT unacknowledged"
                )

            await eventually(acknowledged, seconds=ARRIVED_S_MAX, what="the acknowledgement")
            port = json.loads(next(line for line in log.read_text().splitlines() if "health_port" in line))[
                "health_port"
            ]
            assert await _told_by_alertmanager(port) == (401, 200)

            async def paged() -> Any:
                return await row("SELECT * FROM reading.notifications WHERE body LIKE 'KafkaDown%' AND state = 'SENT'")

            await eventually(paged, seconds=ARRIVED_S_MAX, what="the notification about Alertmanager's alert")
        finally:
            process.terminate()
            await process.wait()

    connection = await asyncpg.connect(migrated.url)
    tables = [
        str(await connection.fetch(f"SELECT * FROM notifier.{table}"))
        for table in ("alerts", "notifications", "channels")
    ]
    await connection.close()
    assert process.returncode == 0, log.read_text()[-3_000:]
    assert CANARY not in "".join((log.read_text(), *tables))


async def _told_by_alertmanager(port: int) -> tuple[int, int]:
    """Tell of an alert, first with another's token; return both answers."""
    message = {
        "version": "4",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "KafkaDown", "severity": "page"},
                "annotations": {"summary": "No broker answers"},
                "startsAt": "2026-01-05T12:00:00Z",
                "fingerprint": "c1a2b3d4e5f60718",
            }
        ],
    }
    answers = []
    async with aiohttp.ClientSession() as session:
        for token in ("another", "webhook-token"):
            headers = {"Authorization": f"Bearer {token}"}
            url = f"http://127.0.0.1:{port}/webhooks/alertmanager"
            async with session.post(url, json=message, headers=headers) as response:
                answers.append(response.status)
    return answers[0], answers[1]
