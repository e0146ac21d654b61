"""Wires the notifier."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AlertRaised, ConfigurationChanged, ControlCommanded, TradingStateChanged
from libs.common.contracts.topics import TopicName
from libs.common.control.operators_file import OperatorsFile
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import every
from libs.common.runtime import Runtime, run_service
from services.notifier.adapters.alerts import PostgresAlerts
from services.notifier.adapters.built_in import DashboardChannel, LogChannel
from services.notifier.adapters.outbox import PostgresOutbox
from services.notifier.adapters.outside import load_channels
from services.notifier.adapters.webhook import PATH, AlertmanagerWebhook
from services.notifier.domain.routing import DASHBOARD, LOG
from services.notifier.service.acknowledging import Acknowledgements, Reminders
from services.notifier.service.inventory import Inventory
from services.notifier.service.notifying import Notifier
from services.notifier.service.ports import Channel
from services.notifier.service.sending import Sender
from services.notifier.settings import Settings

ADDRESSES: Final = "notification-channels"
WEBHOOK: Final = "alertmanager-webhook"
PRUNE_INTERVAL_S: Final = 3_600.0
REMIND_INTERVAL_S: Final = 5.0
ORPHANED_INTERVAL_S: Final = 60.0

_log: Final = structlog.get_logger(__name__)


async def serve(runtime: Runtime[Settings]) -> None:
    """Notify until stopped."""
    settings, live, clock = runtime.settings, runtime.live, runtime.clock
    outside, problems = await asyncio.to_thread(load_channels, settings.secrets_dir / ADDRESSES)
    channels: dict[str, Channel] = {DASHBOARD: DashboardChannel(), LOG: LogChannel(), **outside}
    async with runtime.database() as database:
        alerts, outbox = PostgresAlerts(database), PostgresOutbox(database, member=settings.group_member)
        inventory = Inventory(outbox=outbox, live=live, available=channels, problems=problems, clock=clock)
        sender = Sender(outbox=outbox, channels=channels, live=live, clock=clock)
        notifier = Notifier(
            alerts=alerts,
            live=live,
            channels=channels,
            repeat_after=timedelta(seconds=settings.repeat_after_s),
            clock=clock,
            wake=sender.wake,
        )
        acknowledgements = Acknowledgements(
            alerts=alerts, operators=OperatorsFile(settings.operators_file).current, live=live, clock=clock
        )
        reminders = Reminders(unacknowledged=alerts, live=live, channels=tuple(channels), clock=clock, wake=sender.wake)
        loop = runtime.group(
            topics=(TopicName.ALERTS, TopicName.CONTROL),
            handlers={AlertRaised: notifier.on_alert, ControlCommanded: acknowledgements.on_command},
            member=settings.group_member,
        )

        async def on_configuration(changed: Envelope[ConfigurationChanged]) -> None:
            await runtime.on_configuration_changed(changed)
            await inventory.note()

        states = runtime.reader(
            topics=(TopicName.CONTROL_STATE,),
            observers={ConfigurationChanged: on_configuration, TradingStateChanged: acknowledgements.on_state},
            start="beginning",
            name="configuration",
        )

        await inventory.note()
        async with asyncio.TaskGroup() as tasks:
            # What was written down, and Alertmanager's calls, need Kafka for nothing: they go by the files'
            # configuration until there is another.
            tasks.create_task(states.run(), name="configuration")
            tasks.create_task(sender.run(), name="sender")
            for seconds, work in (
                (PRUNE_INTERVAL_S, alerts.prune),
                (REMIND_INTERVAL_S, reminders.look),
                (ORPHANED_INTERVAL_S, sender.give_up_orphaned),
            ):
                tasks.create_task(every(seconds, partial(_unless_away, work), clock=clock), name=work.__qualname__)
            if (settings.secrets_dir / WEBHOOK).exists():
                webhook = AlertmanagerWebhook(
                    token=settings.secret(WEBHOOK),
                    record=notifier.on_alert,
                    publisher=runtime.publisher,
                    clock=clock,
                )
                runtime.health.door(PATH, webhook.handle)
            await states.caught_up.wait()
            tasks.create_task(loop.run(), name="alerts")


async def _unless_away(work: Callable[[], Awaitable[None]]) -> None:
    """Do periodic work; what fails because the database is away or refuses is done the next time."""
    try:
        await work()
    except RetryableError as error:
        _log.warning("The database did not do it", error=str(error))


if __name__ == "__main__":
    run_service("notifier", Settings, serve)
