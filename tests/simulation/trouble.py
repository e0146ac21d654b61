"""What goes wrong in a story: processes, the way to the exchange, stores, locks, clocks; and what operators command.

Invariant: all of it is drawn from the story's own chance.
"""

import asyncio
import uuid
from datetime import timedelta
from random import Random
from typing import Any, Final

from libs.common.contracts.codec import encode
from libs.common.contracts.event import Event
from libs.common.control.commands import issue_command
from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.halts import HaltRecord
from libs.common.control.redis_latch import RedisHaltLatch
from libs.common.errors import RetryableError
from libs.common.messaging.cause import Cause, enclose
from tests.simulation.loop import Life
from tests.simulation.machine import Machine, Trap
from tests.simulation.network import Network
from tests.simulation.plan import Plan
from tests.simulation.services import ALICE, System
from tests.simulation.weather import Weather
from tests.simulation.witness import Witness

STANDBYS_MAX: Final = 2
"""Processes of one service at a time."""


class Trouble:
    """Makes trouble."""

    plan: Plan
    chance: Random
    machine: Machine
    network: Network
    system: System
    witness: Witness

    async def _set_trap(self) -> None:
        service = self.chance.choice(self.plan.services)
        if self.chance.random() < 0.3:
            alive = [process for process in self.machine.alive(service) if process.life is Life.RUNNING]
            if alive:
                self.machine.kill(self.chance.choice(alive), "by chance")
            return
        self.machine.traps.append(Trap(service, self.chance.choice(self.plan.steps), self.chance.randrange(1, 4)))

    async def _set_freeze(self) -> None:
        service = self.chance.choice(self.plan.services)
        seconds = self.chance.choice((0.7, 1.5, 4.0, 8.0, 12.0, 20.0))
        self.machine.traps.append(Trap(service, self.chance.choice(self.plan.steps), 1, frozen_s=seconds))

    async def _change_weather(self) -> None:
        chance, worst = self.chance, self.plan.write_faults
        bad = chance.random() < 0.6
        self.network.weather = Weather(
            write_faults=chance.uniform(0, worst) if bad else 0.0,
            read_faults=chance.uniform(0, worst) if bad else 0.0,
            delay_s_max=chance.choice((0.02, 0.1, 0.4, 1.2)) if bad else 0.02,
            lag_s=chance.choice((0.0, 0.0, 0.5, 3.0)) if bad else 0.0,
            down=chance.random() < 0.08,
            stream_losses=chance.choice((0.0, 0.1, 1.0)) if bad else 0.0,
            stream_doubles=chance.choice((0.0, 0.3)) if bad else 0.0,
        )
        if chance.random() < 0.3:
            self.network.cut_streams(silently=chance.random() < 0.4)
        self.machine.say(f"weather {self.network.weather}")

    async def _halt_or_resume(self) -> None:
        state = self.system.risk.states.get("main")
        if state is not None and state.halts:
            await self._command("RESUME", clears=tuple(halt.halt_id for halt in state.halts))
            await asyncio.sleep(1.0)
            await self._command("START")
        elif state is not None and state.state.value != "ACTIVE":
            await self._command("START")
        else:
            await self._command("HALT")
            await asyncio.sleep(self.chance.uniform(2.0, 6.0))
            await self._halt_or_resume()

    async def _command(self, name: Any, **options: Any) -> None:
        now = self.machine.clock.now()
        command = issue_command(
            name,
            account="main",
            reason="simulated",
            issuer="alice",
            key=ALICE,
            command_id=uuid.UUID(int=self.chance.getrandbits(128), version=4),
            now=now,
            lifetime=timedelta(seconds=30),
            **options,
        )
        self.machine.say(f"command {name}")
        if name == "HALT":
            record = HaltRecord.of(command)
            self.witness.halted(record.halt_id)
            await FileHaltLatch(self.system.halt_dir).add(record)
            redis = RedisHaltLatch(self.system.shared.store().client, accounts=("main",))
            try:
                await redis.add(record)
            except RetryableError:
                self.machine.say("the halt does not go over Redis")
        await self._publish(command)

    async def _trouble_store(self) -> None:
        """Something is wrong with a store for a while."""
        system, seconds = self.system, self.chance.uniform(0.3, 8.0)
        trouble = self.chance.choice(self.plan.stores)
        self.machine.say(f"{trouble} for {seconds:.1f} s")
        match trouble:
            case "flush":
                system.shared.flush()
            case "redis":
                system.shared.down = True
            case "kafka":
                system.cluster.down = True
            case "postgres":
                system.postgres.down = True
            case "doubled":
                system.cluster.delay_s_max, system.cluster.doubled_rate = 1.0, 0.3
            case "lost":
                system.postgres.lost_rate = 0.1
            case _:
                system.cluster.full = system.postgres.full = True
        await asyncio.sleep(seconds)
        self._mend_stores()

    def _mend_stores(self) -> None:
        system = self.system
        system.cluster.down = system.postgres.down = system.shared.down = False
        system.cluster.full = system.postgres.full = False
        system.cluster.delay_s_max, system.cluster.doubled_rate, system.postgres.lost_rate = 0.01, 0.0, 0.0

    async def _cut_lock(self) -> None:
        """The connection on which an owner holds its lock is lost, and a standby is quick."""
        role = self.chance.choice(self.plan.standbys or self.plan.services)
        lock = self.system.postgres.schemas[role].lock
        if lock is None or lock.is_closed():
            return
        if len(self.machine.alive(role)) < STANDBYS_MAX:
            self.system.start(role)
            await asyncio.sleep(2.0)
        self.machine.say(f"the lock of {role} is lost")
        lock.terminate()

    async def _step_clock(self) -> None:
        self.machine.clock.ahead_s = self.chance.choice((2.0, -10.0, 0.6, -0.6, 60.0))
        self.machine.say(f"the clock is {self.machine.clock.ahead_s:g} s ahead")
        await asyncio.sleep(self.chance.uniform(1.0, 15.0))
        self.machine.clock.ahead_s = 0.0

    async def _publish(self, *events: Event) -> None:
        now = self.machine.clock.now()
        try:
            await self.system.cluster.append(
                [(encode(enclose(event, cause=Cause.none(), ordinal=0, now=now)), None) for event in events]
            )
        except RetryableError:
            return
