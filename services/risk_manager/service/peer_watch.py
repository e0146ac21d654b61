"""No entries while processes differ: who is another program, or has another configuration, is named to people.

The permits lapse while anybody differs; nothing else is stopped, and nothing has to be resumed afterwards.
"""

from collections.abc import Sequence

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised, HeartbeatSent
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.observability import metrics
from services.risk_manager.domain.peers import Peers
from services.risk_manager.service.announcements import COMPONENT
from services.risk_manager.service.emergencies import Apply
from services.risk_manager.service.ports import RiskRecords


class PeerWatch:
    """Compares every process that trades with this one.

    Args:
        configuration: What this process trades by.
        build: Which program this is.
        apply: Runs work in a transaction of the owner.
        clock: Tells how long a difference has lasted.
    """

    def __init__(self, *, configuration: LiveConfiguration, build: str, apply: Apply, clock: Clock) -> None:
        self._configuration = configuration
        self._build = build
        self._apply = apply
        self._clock = clock
        self._peers = Peers()
        self._told: tuple[str, ...] = ()

    async def on_heartbeat(self, envelope: Envelope[HeartbeatSent]) -> None:
        """Take note of what a process says of itself."""
        self._peers.hear(envelope.event, now_s=self._clock.monotonic_s())

    def differing(self) -> tuple[str, ...]:
        """Return the processes that keep everybody from entering, and how they differ."""
        return self._peers.differing(
            build=self._build, configuration_hash=self._configuration.hash, now_s=self._clock.monotonic_s()
        )

    async def look(self) -> None:
        """Tell people who differs, and when nobody does any more."""
        differing = self.differing()
        metrics.PROCESSES_DIFFERING.set(len(differing))
        if differing == self._told:
            return
        alert = AlertRaised(
            occurred_at=self._clock.now(),
            alert_type=AlertType.SYSTEM_ERROR,
            severity=Severity.CRITICAL if differing else Severity.INFO,
            component=COMPONENT,
            subject="processes that differ",
            message=(
                f"no entries while processes differ: {'; '.join(differing)}: restart them with the image and the "
                "files of the others"
                if differing
                else "all processes are the same program with the same configuration again"
            )[:TEXT_CHARACTERS_MAX],
        )

        async def tell(_: RiskRecords) -> Sequence[Event]:
            return [alert]

        await self._apply(tell)
        self._told = differing
