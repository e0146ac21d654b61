"""Turn each alert into notifications, once.

Handling an alert only writes rows; the sender works them off. A crash between the two delivers late, never not at all.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised
from libs.common.observability import metrics
from services.notifier.domain.routing import ends_emergency, needs_acknowledgement, route
from services.notifier.domain.texts import compose
from services.notifier.service.ports import AlertStore, AlertTransaction

_log: Final = structlog.get_logger(__name__)


class Notifier:
    """Decides for each alert where it goes and in which words.

    Args:
        alerts: Where they are recorded.
        live: What the user wants; a change holds from the next alert on.
        channels: The names of the channels that can deliver.
        repeat_after: How soon an alert of the same kind is told again.
        wake: Tells the senders that there is something to send.
    """

    def __init__(
        self,
        *,
        alerts: AlertStore,
        live: LiveConfiguration,
        channels: Collection[str],
        repeat_after: timedelta,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._alerts = alerts
        self._live = live
        self._channels = channels
        self._repeat_after = repeat_after
        self._clock = clock
        self._wake = wake

    async def on_alert(self, envelope: Envelope[AlertRaised]) -> Sequence[Event]:
        """Write down an alert and its notifications, once."""
        alert, now = envelope.event, self._clock.now()
        settings, display = self._live.current.notifications, self._live.current.display
        answered_by = now + timedelta(minutes=settings.acknowledge_within_min)

        async def work(transaction: AlertTransaction) -> None:
            if not await transaction.add(envelope, answered_by=answered_by if needs_acknowledgement(alert) else None):
                return
            if ends_emergency(alert):
                await transaction.settle(alert.account)
            routing = route(
                alert,
                settings=settings,
                available=self._channels,
                last=await transaction.last_of_kind(alert),
                repeat_after=self._repeat_after,
                quiet_until=settings.quiet_until(now, timezone=display.timezone),
            )
            text = compose(
                alert,
                display.language,
                event_id=envelope.event_id,
                timezone=display.timezone,
                repeats_suppressed=routing.repeats_suppressed,
            )
            await transaction.save(envelope, routing, text, display.language, now)
            for planned in routing.routes:
                if planned.suppression is not None:
                    metrics.NOTIFICATIONS.labels(channel=planned.channel, state="SUPPRESSED").inc()

        await self._alerts.handle(work)
        self._wake()
        return ()
