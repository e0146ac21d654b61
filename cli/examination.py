"""What `trader doctor` looks at; each finding says what was found and what to do about it."""

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp

from cli.errors import CommandError
from cli.finding import Finding
from cli.place import DEPLOYED, Place, find_place
from cli.upkeep import look_at_archives, look_at_backups, look_at_schema, look_at_secrets
from libs.common.clock import SystemClock, epoch_ms
from libs.common.contracts.topics import TOPICS
from libs.common.errors import RetryableError
from libs.embedded.errors import EmbeddedError
from libs.embedded.stores.java import find_java

CLOCK_SKEW_MS_MAX: Final = 500
FREE_MB_MIN: Final = 2_000
ANSWER_S_MAX: Final = 5.0


async def examine(data_dir: Path) -> list[Finding]:
    """Look at the machine, and at the stack if one runs."""
    findings = [_disk(data_dir)] if DEPLOYED in os.environ else [_java(), _disk(data_dir)]
    try:
        place = find_place(data_dir)
    except CommandError as error:
        advice = "Start it with `trader up`; the other checks need a running stack."
        return [*findings, Finding(subject="stack", found=error.message, advice=advice)]
    looks: list[tuple[str, Callable[[Place], Awaitable[Finding]]]] = [
        ("processes", _processes),
        ("database", _database),
        ("schema", look_at_schema),
        ("archives", look_at_archives),
        ("secrets", look_at_secrets),
        ("topics", _topics),
        ("exchange", _exchange),
        ("channels", _channels),
    ]
    if place.has_backups:
        looks.append(("backups", look_at_backups))
    for subject, look in looks:
        try:
            findings.append(await look(place))
        except (RetryableError, CommandError, OSError, aiohttp.ClientError) as error:
            findings.append(
                Finding(subject=subject, found=str(error), failed=True, advice="See `trader ps` and `trader logs`.")
            )
    return findings


def _java() -> Finding:
    try:
        java = find_java()
    except EmbeddedError as error:
        return Finding(subject="java", found=error.message, failed=True, advice=error.hint)
    return Finding(subject="java", found=f"version {java.version} at {java.program}")


def _disk(data_dir: Path) -> Finding:
    existing = next(path for path in (data_dir.resolve(), *data_dir.resolve().parents) if path.exists())
    free_mb = shutil.disk_usage(existing).free // 1_000_000
    scarce = free_mb < FREE_MB_MIN
    advice = f"At least {FREE_MB_MIN} MB let the stack run for days." if scarce else ""
    return Finding(subject="disk", found=f"{free_mb} MB free at {existing}", failed=scarce, advice=advice)


async def _processes(place: Place) -> Finding:
    async with place.database() as database:
        rows = await place.process_rows(database)
    down = [str(row["name"]) for row in rows if not row["ready"]]
    found = f"{len(rows) - len(down)} of {len(rows)} ready"
    advice = f"Not ready: {', '.join(down)}. See `trader logs NAME`." if down else ""
    return Finding(subject="processes", found=found, failed=bool(down), advice=advice)


async def _database(place: Place) -> Finding:
    async with place.database() as database, database.connection() as connection:
        version = await connection.fetchval("SHOW server_version")
    return Finding(subject="database", found=f"PostgreSQL {version} answers")


async def _channels(place: Place) -> Finding:
    async with place.database() as database, database.connection() as connection:
        rows = await connection.fetch("SELECT channel, problem FROM channels WHERE is_configured OR problem <> ''")
    silent = [f"{row['channel']}: {row['problem']}" for row in rows if row["problem"]]
    outside = [row["channel"] for row in rows if not row["problem"] and row["channel"] != "dashboard"]
    nobody = "" if outside else "Nobody is told outside of the dashboard: see docs/notifications.md."
    return Finding(
        subject="channels",
        found="; ".join((f"{len(rows) - len(silent)} of {len(rows)} can deliver", *silent)),
        advice="Their alerts go nowhere: see docs/notifications.md." if silent else nobody,
    )


async def _topics(place: Place) -> Finding:
    kafka = place.kafka()
    consumer = await kafka.consumer()
    try:
        existing = await consumer.topics()
    finally:
        await kafka.stop(consumer)
    missing = [topic.name.value for topic in TOPICS if kafka.wire_topic(topic.name) not in existing]
    advice = "Create them with `trader topics apply`." if missing else ""
    found = f"missing: {', '.join(missing)}" if missing else f"all {len(TOPICS)} there"
    return Finding(subject="topics", found=found, failed=bool(missing), advice=advice)


async def _exchange(place: Place) -> Finding:
    clock = SystemClock()
    timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        before_ms = epoch_ms(clock.now())
        async with session.get(f"{place.endpoints['exchange_rest']}/api/v3/time") as response:
            answer = await response.json()
        after_ms = epoch_ms(clock.now())
    skew_ms = int(answer["serverTime"]) - (before_ms + after_ms) // 2
    wrong = abs(skew_ms) > CLOCK_SKEW_MS_MAX
    return Finding(
        subject="exchange",
        found=f"answers in {after_ms - before_ms} ms, its clock is {skew_ms} ms ahead of ours",
        failed=wrong,
        advice="Synchronise this machine's clock (NTP): orders are refused otherwise." if wrong else "",
    )
