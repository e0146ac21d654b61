"""A notifier that starts while Kafka is away tells what was written down, and hears Alertmanager."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from libs.common.clock import SystemClock
from libs.common.configuration import TradingConfiguration
from libs.common.observability.health import serve as serve_health
from libs.common.runtime import Runtime
from services.notifier.__main__ import WEBHOOK, serve
from services.notifier.adapters.webhook import PATH
from services.notifier.settings import Settings
from tests.support.eventually import eventually
from tests.support.migrated import PASSWORD, MigratedDatabase
from tests.support.notifier_desk import a_desk

FIRING = {
    "version": "4",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "KafkaDown", "severity": "page"},
            "startsAt": "2026-01-05T12:00:00Z",
            "fingerprint": "c1a2b3d4e5f60718",
        }
    ],
}


async def test_the_queue_and_alertmanager_do_not_wait_for_kafka(migrated: MigratedDatabase, tmp_path: Path):
    (tmp_path / "postgres-notifier").write_text(PASSWORD)
    (tmp_path / WEBHOOK).write_text("of-a-test")
    address = urlsplit(migrated.url)
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:9",  # where nobody listens
        postgres_address=f"{address.hostname}:{address.port}{address.path}",
        secrets_dir=tmp_path,
    )
    runtime = Runtime("notifier", settings, TradingConfiguration(), SystemClock())
    database = await migrated.connect("notifier")
    desk = a_desk(database)
    await desk.raise_alert()
    web, port = await serve_health(runtime.health.application(), host="127.0.0.1", port=0)
    serving = asyncio.create_task(serve(runtime))

    async def is_told() -> bool:
        return {state for _, state, _ in await desk.rows()} == {"SENT"}

    async def is_taken() -> bool:
        url, headers = f"http://127.0.0.1:{port}{PATH}", {"Authorization": "Bearer of-a-test"}
        async with aiohttp.ClientSession() as session, session.post(url, json=FIRING, headers=headers) as response:
            return response.status == 200

    try:
        await eventually(is_told, seconds=20)
        await eventually(is_taken, seconds=20)
        await eventually(is_told, seconds=20)
        assert len(await desk.rows()) == 4  # two alerts, each at the dashboard and in the log
    finally:
        serving.cancel()
        await asyncio.wait({serving}, timeout=10)
        await web.cleanup()
        await database.close()
