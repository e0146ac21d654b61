"""Wires the notifier."""

import asyncio
from datetime import timedelta
from functools import partial

import asyncpg
import structlog

from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AlertRaised, ConfigurationChanged
from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import every
from libs.common.runtime import Runtime, run_service
from services.notifier.adapters import DashboardChannel, LogChannel, PostgresAlerts, PostgresOutbox
from services.notifier.domain.routing import DASHBOARD, LOG
from services.notifier.service import Channel, Notifier, Sender
from services.notifier.settings import Settings

PRUNE_INTERVAL_S = 3_600.0

_log = structlog.get_logger(__name__)


async def serve(runtime: Runtime[Settings]) -> None:
    """Notify until stopped."""
    settings, configuration = runtime.settings, runtime.configuration
    channels: dict[str, Channel] = {DASHBOARD: DashboardChannel(), LOG: LogChannel()}
    wanted = asyncio.Event()
    async with runtime.database() as database:
        outbox = PostgresOutbox(database)
        notifier = Notifier(
            alerts=PostgresAlerts(database),
            settings=configuration.notifications,
            language=configuration.display.language,
            channels=channels,
            repeat_after=timedelta(seconds=settings.repeat_after_s),
            clock=runtime.clock,
            sender_wanted=wanted,
        )
        if unavailable := notifier.unavailable():
            _log.warning("Configured channels cannot deliver and stay silent", channels=list(unavailable))
        loop = runtime.group(
            topics=(TopicName.ALERTS,), handlers={AlertRaised: notifier.on_alert}, member=settings.group_member
        )

        async def on_configuration(changed: Envelope[ConfigurationChanged]) -> None:
            await runtime.on_configuration_changed(changed)
            notifier.configure(runtime.configuration.notifications, runtime.configuration.display.language)

        versions = runtime.reader(
            topics=(TopicName.CONTROL_STATE,),
            observers={ConfigurationChanged: on_configuration},
            start="beginning",
            name="configuration",
        )

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(versions.run(), name="configuration")
            await versions.caught_up.wait()
            tasks.create_task(loop.run(), name="alerts")
            tasks.create_task(
                Sender(outbox=outbox, channels=channels, clock=runtime.clock, wanted=wanted).run(), name="sender"
            )
            tasks.create_task(every(PRUNE_INTERVAL_S, partial(_forget, outbox), clock=runtime.clock), name="pruning")


async def _forget(outbox: PostgresOutbox) -> None:
    """Prune old notifications; what fails now is pruned the next time."""
    try:
        await outbox.prune()
    except (RetryableError, asyncpg.PostgresError) as error:
        _log.warning("Old notifications could not be pruned", error=str(error))


if __name__ == "__main__":
    run_service("notifier", Settings, serve)
