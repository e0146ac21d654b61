"""Starts the scene: a stack, its broker with an agent, the exporters, Prometheus, Alertmanager, and who is told."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import yaml

from libs.embedded.directory import DataDirectory
from libs.embedded.services import Service
from libs.embedded.stack import External
from tests.alerts.broker import broker
from tests.alerts.configured import alertmanager_settings, prometheus_settings, write_rules
from tests.alerts.programs import LOOPBACK, Alertmanager, Program, answers, binary, free_port, redis_exporter
from tests.alerts.scene import Scene
from tests.alerts.told import people
from tests.chaos.arena import Arena, open_arena

ANSWER_S_MAX: Final = 5.0
START_S_MAX: Final = 300.0
CONFIGURED: Final[Mapping[str, Mapping[str, Any]]] = {
    "market": {"speed": 1},
    "notifications": {"channels": ["dashboard", "phone"], "messages_per_minute_max": 10_000},
    "safety": {"refusals_max": 1_000, "refusals_of": 1_000},
}
"""Nothing is held back as a flood, and orders may be refused without a halt: the alerts are what is tried. The market
has its own pace, so that delays are those of the alerts, not of a machine that has too much to do."""


@asynccontextmanager
async def open_scene(root: Path, *, seed: int) -> AsyncIterator[Scene]:
    """Start everything; leaving it ends everything."""
    directory = DataDirectory(root / "stack")
    directory.create()
    services: dict[str, Service] = {}

    def noted(service: Service) -> Service:
        services[service.name] = replace(service, ready_deadline_s=START_S_MAX)
        return services[service.name]

    async with AsyncExitStack() as stack:
        listening = await stack.enter_async_context(people())
        (directory.secrets / "alertmanager-webhook").write_text(secrets.token_urlsafe(32), encoding="utf-8")
        channels = {"phone": listening.phone, "pager": listening.dead_phone}
        (directory.secrets / "notification-channels").write_text(json.dumps(channels), encoding="utf-8")
        kafka = await stack.enter_async_context(broker(root / "broker"))
        arena = await stack.enter_async_context(
            open_arena(
                root / "stack", seed=seed, configured=CONFIGURED, external=External(kafka=kafka.address), change=noted
            )
        )
        timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        exporters, stores = await _exporters(stack, root, arena)
        targets = {
            status.name: status.metrics_url.split("/")[2] for status in arena.stack.snapshot() if status.metrics_url
        }
        prometheus, alertmanager = f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
        more = root / "more.json"
        more.write_text("[]", encoding="utf-8")
        settings = prometheus_settings(
            rules=write_rules(root / "rules"),
            alertmanager=alertmanager,
            prometheus=prometheus,
            services=targets,
            stores={**stores, "kafka": kafka.metrics},
            more=more,
        )
        (root / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        (root / "switch").write_text(listening.switch, encoding="utf-8")
        routes = alertmanager_settings(
            webhook=f"http://{targets['notifier']}/webhooks/alertmanager",
            token_file=directory.secrets / "alertmanager-webhook",
            switch_file=root / "switch",
        )
        (root / "alertmanager.yml").write_text(yaml.safe_dump(routes), encoding="utf-8")
        telling = Alertmanager(root, alertmanager)
        stack.push_async_callback(telling.stop)
        await telling.restart()
        watching = Program(
            (
                binary("PROMETHEUS"),
                f"--config.file={root / 'prometheus.yml'}",
                f"--storage.tsdb.path={root / 'prometheus'}",
                f"--web.listen-address={prometheus}",
                "--log.level=warn",
            ),
            log=root / "prometheus.log",
        )
        scene = Scene(
            root=root,
            arena=arena,
            broker=kafka,
            people=listening,
            services=services,
            session=session,
            prometheus=f"http://{prometheus}",
            alertmanager=telling,
            exporters=exporters,
            more=more,
        )
        scene.begin("Watchdog")
        await _until_left(stack, watching)
        await scene.until(lambda: answers(f"http://{prometheus}/-/ready"), seconds=60, what="Prometheus to answer")
        yield scene


async def _exporters(stack: AsyncExitStack, root: Path, arena: Arena) -> tuple[dict[str, Program], dict[str, str]]:
    """Start the exporters as the deployment does; return them and their addresses by store."""
    redis, postgres = urlsplit(arena.stack.addresses.redis), urlsplit(arena.place.endpoints["postgres"])
    addresses = {store: f"{LOOPBACK}:{free_port()}" for store in ("redis", "postgres")}
    programs = {
        "redis": redis_exporter(
            root / "redis-exporter.log",
            server=f"{redis.hostname}:{redis.port}",
            password=redis.password or "",
            listen=addresses["redis"],
        ),
        "postgres": Program(
            (binary("POSTGRES_EXPORTER"), f"--web.listen-address={addresses['postgres']}"),
            log=root / "postgres-exporter.log",
            environment={
                "DATA_SOURCE_URI": f"{postgres.hostname}:{postgres.port}{postgres.path}"
                "?sslmode=disable&connect_timeout=2",
                "DATA_SOURCE_USER": postgres.username or "",
                "DATA_SOURCE_PASS": postgres.password or "",
            },
        ),
    }
    for program in programs.values():
        await _until_left(stack, program)
    return programs, addresses


async def _until_left(stack: AsyncExitStack, program: Program) -> None:
    stack.push_async_callback(program.stop)
    await program.start()
