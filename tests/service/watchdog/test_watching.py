"""The watchdog from a poll to the halt file, with a clock that only the test moves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger
from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.halts import HaltRecord
from services.watchdog import watching
from services.watchdog.silence import Target
from services.watchdog.watching import EmergencyStop, Watchdog
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

NAMES = ("trade_executor", "risk_manager", "notifier")


@dataclass
class FakeHealth:
    down: set[str] = field(default_factory=set)

    async def alive(self, target: str) -> bool:
        return target not in self.down


@dataclass
class FakeAlarm:
    told: list[AlertRaised] = field(default_factory=list)

    def tell(self, alert: AlertRaised) -> None:
        self.told.append(alert)


@dataclass
class FakeCanceller:
    runs: int = 0

    async def run(self) -> int:
        self.runs += 1
        return 0


@dataclass
class FailingLatch:
    """Fails some times before it writes, as a full disk does."""

    failures: int
    written: list[HaltRecord] = field(default_factory=list)

    async def add(self, record: HaltRecord) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.written.append(record)


@dataclass
class Scene:
    watchdog: Watchdog
    clock: FakeClock
    health: FakeHealth
    alarm: FakeAlarm
    canceller: FakeCanceller
    latch: FileHaltLatch

    async def seconds(self, seconds: float) -> None:
        """Let time pass, poll by poll."""
        for _ in range(round(seconds / 0.5)):
            self.clock.advance(0.5)
            await self.watchdog.poll()

    async def halts(self) -> list[HaltRecord]:
        return list(await self.latch.read())

    def messages(self) -> list[tuple[AlertType, Severity, str]]:
        return [(alert.alert_type, alert.severity, alert.subject) for alert in self.alarm.told]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, health, alarm, canceller = FakeClock(), FakeHealth(), FakeAlarm(), FakeCanceller()
    latch = FileHaltLatch(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        watchdog = Watchdog(
            targets=[Target(name=name, alert_after_s=3.0, dead_after_s=10.0) for name in NAMES],
            critical=("trade_executor", "risk_manager"),
            health=health,
            emergency=EmergencyStop(latch, [canceller]),
            alarm=alarm,
            clock=clock,
            tasks=tasks,
        )
        await watchdog.poll()
        yield Scene(watchdog, clock, health, alarm, canceller, latch)


async def test_nothing_happens_while_everybody_answers(scene):
    await scene.seconds(60)

    assert scene.alarm.told == []
    assert await scene.halts() == []


@pytest.mark.parametrize("name", ["trade_executor", "risk_manager"])
async def test_three_seconds_of_silence_are_an_alert_and_ten_stop_trading(scene, name):
    scene.health.down.add(name)

    await scene.seconds(2.5)
    assert scene.alarm.told == []
    await scene.seconds(0.5)
    assert scene.messages() == [(AlertType.SYSTEM_ERROR, Severity.CRITICAL, f"{name} silent")]
    await scene.seconds(6.5)
    assert await scene.halts() == []
    await scene.seconds(0.5)

    async def cancelling() -> bool:
        return bool(scene.canceller.runs == 1)

    await eventually(cancelling, seconds=5)
    [halt] = await scene.halts()
    assert (halt.issuer, halt.trigger, halt.account) == ("watchdog", StopTrigger.SYSTEM_ERROR, None)
    assert halt.stops("main")
    assert f"{name} has not answered for 10.0 s" in halt.reason
    assert scene.messages()[1:] == [(AlertType.EMERGENCY_STOP, Severity.CRITICAL, f"{name} dead")]
    assert scene.alarm.told[1].parameters["trigger"] == "SYSTEM_ERROR"


async def test_a_supervised_restart_does_not_stop_trading(scene):
    scene.health.down.add("trade_executor")
    await scene.seconds(9.5)
    scene.health.down.clear()

    await scene.seconds(10)

    assert await scene.halts() == []
    assert [subject for _, _, subject in scene.messages()] == ["trade_executor silent", "trade_executor recovered"]


async def test_a_death_stops_trading_once_and_the_next_one_again(scene):
    for _ in range(2):
        scene.health.down.add("risk_manager")
        await scene.seconds(60)
        scene.health.down.clear()
        await scene.seconds(1)

    async def halted_twice() -> bool:
        return len(await scene.halts()) == 2

    await eventually(halted_twice, seconds=5)


async def test_the_silence_of_others_is_told_and_stops_nothing(scene):
    scene.health.down.add("notifier")

    await scene.seconds(60)

    assert scene.messages() == [(AlertType.SYSTEM_ERROR, Severity.WARNING, "notifier silent")]
    assert await scene.halts() == []


async def test_a_system_that_starts_is_waited_for(tmp_path):
    clock, health, alarm = FakeClock(), FakeHealth(set(NAMES)), FakeAlarm()
    latch = FileHaltLatch(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        watchdog = Watchdog(
            targets=[Target(name=name, alert_after_s=3.0, dead_after_s=10.0) for name in NAMES],
            critical=("trade_executor",),
            health=health,
            emergency=EmergencyStop(latch, []),
            alarm=alarm,
            clock=clock,
            tasks=tasks,
        )
        scene = Scene(watchdog, clock, health, alarm, FakeCanceller(), latch)
        await scene.seconds(120)

        assert watchdog.awaited == ["trade_executor"]
        assert alarm.told == []
        assert await scene.halts() == []


async def test_entries_are_cancelled_even_while_the_halt_file_cannot_be_written(monkeypatch):
    monkeypatch.setattr(watching, "HALT_RETRY_S", 0.01)
    latch, canceller = FailingLatch(failures=3), FakeCanceller()
    record = HaltRecord(halt_id="watchdog-1", halted_at=FakeClock().now())

    await asyncio.wait_for(EmergencyStop(latch, [canceller]).run(record), 5)

    assert latch.written == [record]
    assert canceller.runs == 1
