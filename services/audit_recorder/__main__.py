"""Wires the audit recorder."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from libs.common.audit.anchors import AnchorLog, load_or_create_key
from libs.common.contracts.topics import TopicName
from libs.common.errors import DeadlineExceededError, RetryableError
from libs.common.messaging.deadlines import deadline, every
from libs.common.observability import metrics
from libs.common.runtime import Runtime, run_service
from libs.common.storage.postgres import Database
from services.audit_recorder.adapters import PostgresHeads, PostgresRepositories, keep_months, sizes
from services.audit_recorder.service import Anchoring, AuditRecorder
from services.audit_recorder.settings import Settings

MONTHS_INTERVAL_S = 60.0
LAST_ANCHOR_S_MAX = 2.0

_log = structlog.get_logger(__name__)


async def serve(runtime: Runtime[Settings]) -> None:
    """Record until stopped; the last thing is an anchor."""
    settings = runtime.settings
    recorder = AuditRecorder(follow=runtime.follow_configuration)
    log = AnchorLog(settings.anchors_file, load_or_create_key(settings.anchor_key_path))
    async with runtime.database() as database:
        owner = runtime.batch_owner(
            database=database,
            topics=tuple(TopicName),
            handle=recorder.on_records,
            bind=PostgresRepositories,
        )
        anchoring = Anchoring(heads=PostgresHeads(database), log=log, clock=runtime.clock)

        async def anchor() -> None:
            if owner.is_owner:  # a standby would write the same heads a second time
                await anchoring.write()

        async def keep() -> None:
            if owner.is_owner:
                await _keep(database)

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(owner.run(), name="recorder")
                tasks.create_task(every(settings.anchor_interval_s, anchor, clock=runtime.clock), name="anchors")
                tasks.create_task(every(MONTHS_INTERVAL_S, keep, clock=runtime.clock), name="months")
        finally:
            await _anchor_at_last(anchor)


async def _keep(database: Database) -> None:
    """Keep the months, and show how large the tables are; what fails now is done the next time."""
    try:
        in_use = await keep_months(database)
        for tables, size in (await sizes(database)).items():
            metrics.DATABASE_BYTES.labels(tables=tables).set(size)
    except (RetryableError, asyncpg.PostgresError) as error:
        _log.warning("The months could not be kept", error=str(error))
    else:
        _log.debug("Kept the months", in_use=in_use)


async def _anchor_at_last(anchor: Callable[[], Awaitable[None]]) -> None:
    try:
        await deadline(anchor(), LAST_ANCHOR_S_MAX, "the last anchor")
    except DeadlineExceededError as error:
        _log.warning("Stopped without a last anchor", error=str(error))


if __name__ == "__main__":
    run_service("audit_recorder", Settings, serve)
