"""Which channels there are, and what keeps the others from delivering: written down for people to see.

A channel that cannot deliver is a warning and nothing more: trading goes on.
"""

from collections.abc import Collection, Mapping
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.errors import RetryableError
from services.notifier.domain.routing import DASHBOARD
from services.notifier.service.ports import Outbox

NO_ADDRESS: Final = "no address in the secret file notification-channels"

_log: Final = structlog.get_logger(__name__)


class Inventory:
    """Compares the channels that are configured with those that can deliver.

    Args:
        available: The names of the channels that can deliver.
        problems: What is wrong with others that have an address.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        live: LiveConfiguration,
        available: Collection[str],
        problems: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._live = live
        self._available = available
        self._problems = problems
        self._clock = clock

    @property
    def configured(self) -> tuple[str, ...]:
        """Every channel that the configuration names."""
        settings = self._live.current.notifications
        routed = (channel for route in settings.routes for channel in route.channels)
        return tuple(dict.fromkeys((*settings.channels, *routed, *settings.escalation)))

    def unavailable(self) -> dict[str, str]:
        """Return what keeps each channel that is wanted or has an address from delivering."""
        missing = {channel: NO_ADDRESS for channel in self.configured if channel not in self._available}
        return {**missing, **self._problems}

    async def note(self) -> None:
        """Write it down, and warn of what cannot deliver."""
        unavailable = self.unavailable()
        for channel, problem in unavailable.items():
            _log.warning("A channel cannot deliver and stays silent", channel=channel, problem=problem)
        if set(self.configured) <= {DASHBOARD}:
            _log.info("Nobody is told outside of the dashboard; see docs/notifications.md")
        try:
            await self._outbox.note_channels(
                {**dict.fromkeys(self._available, ""), **unavailable},
                configured=self.configured,
                at=self._clock.now(),
            )
        except RetryableError as error:
            _log.warning("The channels could not be written down", error=str(error))
