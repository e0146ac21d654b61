"""What the stack of the first run costs: memory, and the processor with the market running and standing still."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.figures import Bounded, Budget, Figure, Measurement
from benchmarks.processes import Cost, costs, shares_of_core
from benchmarks.stacks import RunningStack, demo, load, say, with_stack
from libs.common.configuration import TradingConfiguration

SETTLE_S: Final = 60.0
WINDOW_S: Final = 30.0
STORES: Final = frozenset({"kafka", "postgres", "redis"})
SUPERVISOR: Final = "trader"
MEGABYTE: Final = 1_000_000

MEMORY: Final = Budget(Bounded.VALUE, 2_000)
CPU_RUNNING: Final = Budget(Bounded.VALUE, 80)
CPU_PAUSED: Final = Budget(Bounded.VALUE, 25)


@dataclass(frozen=True, slots=True)
class _Costs:
    """By process: megabytes, and percent of a core."""

    memory_mb: Mapping[str, float]
    cpu_pct: Mapping[str, float]


async def measure() -> Measurement:
    """Return memory and processor of everything beside those of the stores alone.

    Raises:
        EmbeddedError: The stack does not start.
    """
    running = await _costs(demo(), "at the recorded pace")
    paused = await _costs(demo(speed=0), "paused")
    return Measurement(
        figures=(
            _figure("memory (PSS)", "MB", running.memory_mb, MEMORY),
            _figure("processor, at the recorded pace", "%", running.cpu_pct, CPU_RUNNING),
            _figure("processor, market paused", "%", paused.cpu_pct, CPU_PAUSED),
        ),
        details={"recorded": _rows(running), "paused": _rows(paused)},
    )


async def _costs(configuration: TradingConfiguration, what: str) -> _Costs:
    async def look(running: RunningStack) -> _Costs:
        await asyncio.sleep(SETTLE_S)
        pids = {status.name: status.pid for status in running.stack.snapshot() if status.pid is not None}
        pids[SUPERVISOR] = os.getpid()
        before = _own(costs(pids))
        await asyncio.sleep(WINDOW_S)
        after = _own(costs(pids))
        found = _Costs(
            memory_mb={name: round(cost.pss_bytes / MEGABYTE, 1) for name, cost in after.items()},
            cpu_pct=shares_of_core(before, after, seconds=WINDOW_S),
        )
        say(f"  {what} (load {load()}):")
        for name, row in sorted(_rows(found).items(), key=lambda item: -item[1]["cpu_pct"]):
            say(f"    {name:<17} {row['memory_mb']:>7.1f} MB {row['cpu_pct']:>6.2f} %")
        return found

    return await with_stack(configuration, look)


def _own(found: Mapping[str, Cost]) -> dict[str, Cost]:
    """Take the supervised processes off the supervisor, whose children they are."""
    others = [cost for name, cost in found.items() if name != SUPERVISOR]
    whole = found[SUPERVISOR]
    own = Cost(
        whole.pss_bytes - sum(cost.pss_bytes for cost in others), whole.cpu_s - sum(cost.cpu_s for cost in others)
    )
    return {**found, SUPERVISOR: own}


def _figure(name: str, unit: str, found: Mapping[str, float], budget: Budget) -> Figure:
    return Figure(
        name=name,
        unit=unit,
        value=sum(found.values()),
        baseline=sum(value for process, value in found.items() if process in STORES),
        baseline_name="the stores alone",
        budget=budget,
        samples=1,
        load=load(),
    )


def _rows(found: _Costs) -> dict[str, dict[str, Any]]:
    return {
        name: {"memory_mb": memory_mb, "cpu_pct": found.cpu_pct[name]} for name, memory_mb in found.memory_mb.items()
    }
