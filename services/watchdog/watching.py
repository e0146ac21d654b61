"""The watchdog itself: ask everybody, and stop trading when nobody who must answer does.

Its way to the halt file and to the exchange needs neither Kafka nor Redis nor Postgres.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
import structlog

from libs.common.clock import Clock, epoch_ms
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger
from libs.common.control.halts import HaltRecord
from services.watchdog.silence import Stage, Target

COMPONENT: Final = "watchdog"
POLL_S_MAX: Final = 0.5
HALT_RETRY_S: Final = 0.5

_log = structlog.get_logger(__name__)


class Health(Protocol):
    """Answers whether a process is alive."""

    async def alive(self, target: str) -> bool:
        """Ask once, within a deadline; no answer is a no."""
        ...


class HaltLatch(Protocol):
    """Where a halt is written."""

    async def add(self, record: HaltRecord) -> None:
        """Latch a halt.

        Raises:
            OSError: It could not be written.
        """
        ...


class Canceller(Protocol):
    """Cancels the entries of one account."""

    async def run(self) -> int:
        """Cancel until none can be left; return how many."""
        ...


class Alarm(Protocol):
    """Tells people."""

    def tell(self, alert: AlertRaised) -> None:
        """Tell without waiting."""
        ...


class HttpHealth:
    """Asks over HTTP, on a new connection each time: an old one may end in a frozen process."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Mapping[str, str]) -> None:
        self._session = session
        self._addresses = addresses

    async def alive(self, target: str) -> bool:
        """Return whether `/healthz` answered 200 in time."""
        timeout = aiohttp.ClientTimeout(total=POLL_S_MAX)
        try:
            async with self._session.get(self._addresses[target], timeout=timeout) as response:
                return response.status == 200  # noqa: PLR2004 - HTTP
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


@dataclass(frozen=True, slots=True)
class EmergencyStop:
    """Stops trading without the system's help: the halt file first, then the exchange."""

    latch: HaltLatch
    cancellers: Sequence[Canceller]

    async def run(self, record: HaltRecord) -> None:
        """Write the halt and cancel every account's entries; neither waits for the other to succeed."""
        written = await self._latch(record)
        async with asyncio.TaskGroup() as tasks:
            if not written:
                tasks.create_task(self._latch_until_written(record))
            for canceller in self.cancellers:
                tasks.create_task(canceller.run())

    async def _latch_until_written(self, record: HaltRecord) -> None:
        while True:
            await asyncio.sleep(HALT_RETRY_S)
            if await self._latch(record):
                return

    async def _latch(self, record: HaltRecord) -> bool:
        try:
            await self.latch.add(record)
        except OSError as error:
            _log.error("The halt file could not be written", error=str(error))
            return False
        return True


class Watchdog:
    """Watches the targets and acts on their silence.

    Args:
        targets: Who is watched.
        critical: Those whose death stops trading.
        health: Asks them.
        emergency: Stops trading.
        alarm: Tells people.
        clock: Measures silence.
        tasks: Runs emergencies beside the polling.
    """

    def __init__(
        self,
        *,
        targets: Sequence[Target],
        critical: Collection[str],
        health: Health,
        emergency: EmergencyStop,
        alarm: Alarm,
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._targets = targets
        self._critical = critical
        self._health = health
        self._emergency = emergency
        self._alarm = alarm
        self._clock = clock
        self._tasks = tasks
        self._polled_at_s = clock.monotonic_s()

    @property
    def awaited(self) -> list[str]:
        """Critical targets that were never healthy yet: they are not protected so far."""
        return [
            target.name for target in self._targets if target.stage is Stage.AWAITED and target.name in self._critical
        ]

    def describe(self) -> dict[str, str]:
        """Return what is thought of each target."""
        return {target.name: target.stage.value for target in self._targets}

    async def poll(self) -> None:
        """Ask everybody once and act on what changed."""
        answers = await asyncio.gather(*(self._health.alive(target.name) for target in self._targets))
        now_s = self._clock.monotonic_s()
        elapsed_s, self._polled_at_s = now_s - self._polled_at_s, now_s
        for target, alive in zip(self._targets, answers, strict=True):
            before = target.stage
            stage = target.observe(healthy=alive, elapsed_s=elapsed_s)
            if stage is not None:
                self._act(target, stage, before)

    def _act(self, target: Target, stage: Stage, before: Stage) -> None:
        critical = target.name in self._critical
        if stage is Stage.DEAD and critical:
            self._stop_trading(target)
        elif stage is Stage.DEAD or (stage is Stage.SILENT and critical):
            self._tell(
                AlertType.SYSTEM_ERROR,
                Severity.CRITICAL if critical else Severity.WARNING,
                target,
                f"{target.name} has not answered for {target.silent_s:.1f} s",
                stage="silent",
            )
        elif stage is Stage.HEALTHY and before in (Stage.SILENT, Stage.DEAD):
            self._tell(AlertType.SYSTEM_ERROR, Severity.INFO, target, f"{target.name} answers again", stage="recovered")

    def _stop_trading(self, target: Target) -> None:
        now = self._clock.now()
        reason = f"{target.name} has not answered for {target.silent_s:.1f} s"
        record = HaltRecord(
            halt_id=f"{COMPONENT}-{target.name}-{epoch_ms(now)}",
            trigger=StopTrigger.SYSTEM_ERROR,
            reason=reason,
            issuer=COMPONENT,
            halted_at=now,
        )
        cancels = "entries are being cancelled" if self._emergency.cancellers else "entries stay open for want of a key"
        self._tasks.create_task(self._emergency.run(record), name=f"emergency stop {record.halt_id}")
        self._tell(
            AlertType.EMERGENCY_STOP,
            Severity.CRITICAL,
            target,
            f"Trading is halted: {reason}; {cancels}, protective orders stay",
            stage="dead",
            trigger=StopTrigger.SYSTEM_ERROR.value,
            reason=reason,
            halt_id=record.halt_id,
        )

    def _tell(self, alert_type: AlertType, severity: Severity, target: Target, message: str, **parameters: str) -> None:
        self._alarm.tell(
            AlertRaised(
                occurred_at=self._clock.now(),
                alert_type=alert_type,
                severity=severity,
                component=COMPONENT,
                subject=f"{target.name} {parameters['stage']}",
                message=message,
                parameters={"target": target.name, **parameters},
            )
        )
