"""One seed, one story: what the market, the operators, the machine and the network do to the system.

Invariant: everything that happens is drawn from the seed, so that a seed that fails fails again.
"""

import asyncio
import gc
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from libs.common.contracts.event import Event
from libs.common.contracts.events import (
    CandleClosed,
    HeartbeatSent,
    MarketStatusChanged,
    OrderRefused,
    QuoteChanged,
    SignalGenerated,
)
from libs.common.contracts.vocabulary import Role, Side
from libs.common.storage import keys
from services.trade_executor.domain.orders import DOUBT
from tests.simulation.exchange import SimulatedExchange
from tests.simulation.loop import SimulatedLoop
from tests.simulation.machine import BEGIN, Machine, SimulatedClock
from tests.simulation.network import Network
from tests.simulation.plan import CONFIGURATION, EXPOSURE_MAX, PROBE_S_MAX, SERVICES, Plan
from tests.simulation.services import System, simulated_surroundings
from tests.simulation.trouble import Trouble
from tests.simulation.weather import Weather
from tests.simulation.witness import SYMBOLS, Finding, Witness

STRATEGY: Final = "ema_cross"
TRAILING_RATE: Final = Decimal("0.003")
"""Of every second entry: how far below the highest price its stop follows it."""
TICK: Final = Decimal("0.01")
ENTRY_RATE: Final = 0.6
REEL_S: Final = 64
"""How long the market is until it turns around."""

BEGIN_LOOKS_MAX: Final = 40
SETTLED_S: Final = 0.5
QUIET_S: Final = 2.0
"""At rest for so long: a request that is under way is accepted within a second, or not at all."""

COMMANDS_APART_S: Final = 5.0
WATCHED_EVERY: Final = 4
"""In every so many stories the watchdog looks on, which halts what is dead for too long."""
UNSCALED_EVERY: Final = 10
"""In every so many stories the quarantine takes as long as it really does."""


@dataclass
class Outcome:
    """How a story ended."""

    seed: int
    findings: Sequence[Finding]
    history: Sequence[str]
    counts: Mapping[str, int] = field(default_factory=dict)
    unsprung: int = 0

    @property
    def told(self) -> str:
        """The story, the findings, and how to have it told again."""
        findings = "\n".join(f"  {finding}" for finding in self.findings)
        return "\n".join(
            [*self.history, f"seed {self.seed} found:\n{findings}", f"again: make simulate SEED={self.seed}"]
        )


class World(Trouble):
    """Lives one story."""

    def __init__(self, seed: int, plan: Plan, directory: Path) -> None:
        self.seed = seed
        self.plan = plan
        self.loop = SimulatedLoop(seed)  # type: ignore[abstract]  # sockets and signals are not simulated
        self.chance = Random(f"world {seed}")
        self.machine = Machine(self.loop, seed)
        self.exchange = SimulatedExchange(SimulatedClock(self.loop), seed, length_s=REEL_S)
        self.network = Network(self.machine, self.exchange, seed)
        exchange = {"entry_lists": seed % 4 > 0, **plan.exchange}  # every fourth story is that of symbols without lists
        configuration = {**CONFIGURATION, "exchange": exchange}
        self.system = System(self.machine, self.network, directory, configuration, quarantine_s=plan.quarantine_s)
        self.witness = Witness(self.system, self.exchange, EXPOSURE_MAX)
        self._signals = 0
        self._updates = 0
        self._troubled = True
        self.unsprung = 0

    async def live(self) -> None:
        """Trade in trouble, come to rest, trade once more, and be at rest with everything in order."""
        plan = self.plan
        tasks = [asyncio.ensure_future(work()) for work in (self.exchange.turn, self._market, self._look)]
        services = [*SERVICES, *(["watchdog"] if plan.watchdog else [])]
        self.chance.shuffle(services)
        for service in (*services, *plan.standbys):
            self.system.start(service)
        self.machine.on_frozen = self.system.start
        await self._begin()
        self.machine.traps.extend(replace(trap) for trap in plan.traps)
        self.network.weather = replace(plan.weather, planned=list(plan.faults))
        self.system.cluster.doubled_rate, self.system.cluster.delay_s_max = plan.doubled_rate, plan.kafka_delay_s
        troubles = (
            (plan.signal_every_s, self._signal),
            (plan.kill_every_s, self._set_trap),
            (plan.freeze_every_s, self._set_freeze),
            (plan.weather_every_s, self._change_weather),
            (plan.halt_every_s, self._halt_or_resume),
            (plan.store_every_s, self._trouble_store),
            (plan.clock_every_s, self._step_clock),
            (plan.locks_every_s, self._cut_lock),
        )
        tasks += [asyncio.ensure_future(self._now_and_then(every_s, act)) for every_s, act in troubles if every_s]
        await asyncio.sleep(plan.seconds)
        await self._calm_down()
        await self._rest("after the trouble")
        await self._trade_once_more()
        await self._rest("at the end")
        self.witness.at_rest()
        for task in tasks:
            if task.done():
                task.result()

    async def _begin(self) -> None:
        """Wait until entries are permitted."""
        for _ in range(BEGIN_LOOKS_MAX):
            await asyncio.sleep(0.1)
            if self.system.shared.get(keys.permit("main")) is not None:
                break
        await asyncio.sleep(SETTLED_S)

    async def _now_and_then(self, every_s: float, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while self._troubled:
            await asyncio.sleep(self.chance.expovariate(1 / every_s))
            if self._troubled:
                await act()

    async def _calm_down(self) -> None:
        """The trouble ends: whatever is down comes back, and everybody may work."""
        self._troubled = False
        self.machine.say("calm")
        self.unsprung = len(self.machine.traps)
        self.machine.traps.clear()
        self.network.weather = Weather()
        self._mend_stores()
        self.machine.clock.ahead_s = 0.0
        for processes in self.machine.processes.values():
            for process in processes:
                self.machine._thaw(process)

    async def _rest(self, when: str) -> None:
        """Wait until nothing is under way."""
        ends_s = self.loop.time() + self.plan.rest_s_max
        quiet_since_s: float | None = None
        while quiet_since_s is None or self.loop.time() - quiet_since_s < QUIET_S:
            await asyncio.sleep(0.5)
            restless = self.witness.restless()
            quiet_since_s = None if restless else quiet_since_s or self.loop.time()
            if self.loop.time() > ends_s:
                self.witness.find("the system comes to rest", when, restless)
                return

    async def _trade_once_more(self) -> None:
        """After the trouble, whoever may allow it can have the system trade again."""
        began = self.witness.entries_accepted
        ends_s = self.loop.time() + PROBE_S_MAX
        commanded_at_s = float("-inf")
        while self.loop.time() < ends_s and self.witness.entries_accepted == began:
            state = self.system.risk.states.get("main")
            if self.loop.time() - commanded_at_s > COMMANDS_APART_S and state is not None:
                commanded_at_s = self.loop.time()
                if state.halts:
                    await self._command("RESUME", clears=tuple(halt.halt_id for halt in state.halts))
                elif state.state.value != "ACTIVE":
                    await self._command("START")
            held = [symbol for symbol in SYMBOLS if self._holds(symbol)]
            await self._wish(held[0] if held else SYMBOLS[0], to_buy=not held)
            await asyncio.sleep(1.5)
        if self.witness.entries_accepted == began:
            self.witness.find("the system trades again", "main", self._why_not())

    def _why_not(self) -> str:
        answers = [answer for answer, _ in self.system.risk.decisions.values()]
        refused = [str(answer.reason) for answer in answers[-3:] if isinstance(answer, OrderRefused)]
        orders = [f"{order.status} {order.reason}" for order in list(self.system.tables.orders.values())[-3:]]
        return f"{self.system.risk.states.get('main')} {refused} {orders}"

    def _holds(self, symbol: str) -> bool:
        held = self.system.ledger.positions.get(("main", symbol))
        return held is not None and held.is_open

    # What the rest of the system does.

    async def _look(self) -> None:
        while True:
            self.witness.look()
            await asyncio.sleep(0.25)

    async def _market(self) -> None:
        """Do what the market monitor does."""
        while True:
            news: list[Event] = [self._heartbeat_of_the_recorder()]
            for symbol in SYMBOLS:
                news += self._show(symbol)
                if self.plan.trails and self._troubled:  # afterwards every stop comes to rest
                    news.append(self._closed_candle(symbol))
            await self._publish(*news)
            await asyncio.sleep(1.0)

    def _heartbeat_of_the_recorder(self) -> HeartbeatSent:
        """The audit recorder is not simulated: it always keeps up."""
        now = self.machine.clock.now()
        return HeartbeatSent(
            occurred_at=now,
            component="audit_recorder",
            instance="simulated",
            sequence=self._updates,
            ready=True,
            handled=self._updates,
            loop_lag_ms=0.0,
            configuration_hash=self.system.configuration.hash,
            started_at=BEGIN,
        )

    def _show(self, symbol: str) -> Sequence[Event]:
        now, bid = self.machine.clock.now(), self.exchange.bid(symbol)
        ask = bid + TICK
        self._updates += 1
        prices = f'{{"bid": "{bid}", "ask": "{ask}", "at": "{now.isoformat()}"}}'
        self.system.shared.set(keys.latest_price(symbol), prices, 60_000)
        return (
            QuoteChanged(
                occurred_at=now,
                symbol=symbol,
                update_id=self._updates,
                bid=bid,
                bid_quantity=Decimal(1),
                ask=ask,
                ask_quantity=Decimal(1),
            ),
            MarketStatusChanged(
                occurred_at=now,
                symbol=symbol,
                reachable=True,
                calm=True,
                trading=True,
                data_age_ms=50,
                volatility_rate=Decimal("0.001"),
            ),
        )

    def _closed_candle(self, symbol: str) -> CandleClosed:
        """Say how high a price has been in the last second: what trails follows it."""
        closed_at = self.machine.clock.now().replace(microsecond=0)
        bid = self.exchange.bid(symbol)
        return CandleClosed(
            occurred_at=closed_at,
            symbol=symbol,
            interval_s=1,
            open_at=closed_at - timedelta(seconds=1),
            close_at=closed_at,
            open=bid,
            high=bid,
            low=bid,
            close=bid,
            volume=Decimal(1),
            trades=1,
        )

    async def _signal(self) -> None:
        """Do what a strategy does: wish to buy, or to sell what is held."""
        await self._wish(self.chance.choice(SYMBOLS), to_buy=self.chance.random() < ENTRY_RATE)

    async def _wish(self, symbol: str, *, to_buy: bool) -> None:
        self._signals += 1
        bid = self.exchange.bid(symbol)
        ask = bid + TICK
        await self._publish(
            SignalGenerated(
                occurred_at=self.machine.clock.now(),
                signal_id=f"{STRATEGY} {self._signals}",
                strategy=STRATEGY,
                symbol=symbol,
                side=Side.BUY if to_buy else Side.SELL,
                role=Role.ENTRY if to_buy else Role.EXIT,
                reference_price=ask if to_buy else bid,
                stop_loss=(bid * Decimal("0.995")).quantize(TICK) if to_buy else None,
                take_profit=(bid * Decimal("1.005")).quantize(TICK) if to_buy else None,
                trailing_distance=self._trailing_distance(bid) if to_buy else None,
                quality_score=80,
                bid=bid,
                ask=ask,
            )
        )

    def _trailing_distance(self, bid: Decimal) -> Decimal | None:
        return (bid * TRAILING_RATE).quantize(TICK) if self.plan.trails and self._signals % 2 else None


def plan_of(seed: int) -> Plan:
    """Return what may happen in the story of a seed."""
    plan = Plan(watchdog=seed % WATCHED_EVERY == 0)
    return plan if seed % UNSCALED_EVERY else replace(plan, quarantine_s=DOUBT.quarantine.total_seconds())


def simulate(seed: int, plan: Plan | None = None) -> Outcome:
    """Live the story of a seed and return how it ended."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(seed, plan or plan_of(seed), Path(directory))
        with simulated_surroundings(world.system):
            gc.disable()  # what a story leaves is freed after it
            try:
                world.loop.run_until_complete(world.live())
            except AssertionError as error:
                world.witness.find(type(error).__name__, "loop", str(error)[:2_000])
                world.witness.check_ends()
            finally:
                world.loop.end()
                gc.enable()
        return Outcome(
            seed=seed,
            findings=world.witness.findings,
            history=world.machine.history,
            unsprung=world.unsprung,
            counts={
                "steps": world.loop.steps,
                "orders": len(world.witness.accepted),
                "entries": world.witness.entries_accepted,
                "fills": len(world.exchange.truth.fills),
                "kills": sum(" kill " in f" {line}" for line in world.machine.history),
                "freezes": sum(" freeze " in line for line in world.machine.history),
                "faults": sum(world.network.faults.values()),
                "ends": len(world.machine.ends),
                "seconds": round(world.loop.time()),
            },
        )
