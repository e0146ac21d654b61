"""Bare positions of a stack that trades as often as it can: with and without order lists, and when its executor dies.

The executor is killed as soon as the exchange's journal shows an entry's fill; what protects the position is sent by
the process that its supervisor starts next.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.figures import Bounded, Budget, Figure, Measurement, quantile, spread
from benchmarks.protection.spells import JournalReader, Spell, Spells
from benchmarks.stacks import BenchmarkError, RunningStack, load, say, with_stack
from libs.common.configuration import TradingConfiguration, load_configuration, parse_configuration

CONFIGURATION: Final = Path(__file__).with_name("configuration.json")
EXECUTOR: Final = "trade_executor"
BARE: Final = Budget(Bounded.VALUE, 300)
NEVER: Final = Budget(Bounded.VALUE, 0)
AFTER_DEATH: Final = Budget(Bounded.VALUE, 10_000)
LOOK_S: Final = 0.001
ENTRY_S_MAX: Final = 120.0
"""From one entry to the next, on a busy machine after a restart too."""
PROTECTED_S_MAX: Final = 120.0
"""Longer than a recorded protection that may have been sent is waited for."""
READY_S_MAX: Final = 60.0
UNTIL_DEATH_MS_MAX: Final = 50
"""Of a position that was protected sooner after its fill the death told nothing."""


async def measure(*, count: int, deaths: int) -> Measurement:
    """Return how long positions are bare.

    Args:
        count: Entries that are looked at, of each kind.
        deaths: Kills of the executor right after an entry has filled.

    Raises:
        EmbeddedError: A stack does not start.
        BenchmarkError: It does not trade.
    """
    lists = await with_stack(_configuration(with_lists=True), lambda running: _Bench(running).spells(count))
    say(f"  with lists: {_told(lists)}")
    single, orphaned = await with_stack(_configuration(with_lists=False), lambda running: _all(running, count, deaths))
    say(f"  the executor killed: {_told(orphaned)}")
    usual_ms = quantile(_lengths(single), 0.5)
    figures = [
        _figure("bare with order lists, max", lists, 1.0, NEVER, usual_ms),
        _figure("bare without order lists, p99", single, 0.99, BARE, usual_ms),
    ]
    if orphaned:
        figures.append(_figure("bare when the executor dies, max", orphaned, 1.0, AFTER_DEATH, usual_ms))
    return Measurement(
        figures=tuple(figures),
        details={
            "bare_ms": {
                name: {**spread(_lengths(spells)), "all": _lengths(spells)}
                for name, spells in (("lists", lists), ("single", single), ("deaths", orphaned))
                if spells
            }
        },
    )


async def _all(running: RunningStack, count: int, deaths: int) -> tuple[Sequence[Spell], Sequence[Spell]]:
    bench = _Bench(running)
    single = await bench.spells(count)
    say(f"  without lists: {_told(single)}")
    return single, [spell for number in range(deaths) if (spell := await bench.orphan(number)) is not None]


class _Bench:
    """One stack."""

    def __init__(self, running: RunningStack) -> None:
        self._stack = running.stack
        self._reader = JournalReader(running.composition.exchange_dir / "journal")
        self._spells = Spells()

    async def spells(self, count: int) -> Sequence[Spell]:
        """Return the first spells that end."""
        for number in range(count):
            await self._until(partial(self._have_ended, number + 1), ENTRY_S_MAX, "a protected entry")
        return self._spells.ended[:count]

    async def orphan(self, number: int) -> Spell | None:
        """Kill the executor as an entry fills; return for how long the position was bare, None if it hardly was."""
        await self._until(self._is_ready, READY_S_MAX, "everything ready")
        await self._until(lambda: not self._spells.bare, PROTECTED_S_MAX, "no bare position")
        await self._until(lambda: bool(self._spells.bare), ENTRY_S_MAX, "an entry")
        (symbol, began_ms), *_ = self._spells.bare.items()
        pid = next(status.pid for status in self._stack.snapshot() if status.name == EXECUTOR)
        if pid is None:
            raise BenchmarkError(f"{EXECUTOR}: expected a running process, found none")
        os.kill(pid, signal.SIGKILL)
        await self._until(lambda: symbol not in self._spells.bare, PROTECTED_S_MAX, f"{symbol} protected")
        found = [spell for spell in self._spells.ended if (spell.symbol, spell.began_ms) == (symbol, began_ms)]
        if not found or found[0].length_ms < UNTIL_DEATH_MS_MAX:
            say(f"  kill {number + 1}: it was protected before")
            return None
        say(f"  kill {number + 1}: protected after {found[0].length_ms} ms (load {load()})")
        return found[0]

    async def _until(self, found: Callable[[], bool], seconds: float, what: str) -> None:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + seconds
        while not found():
            for line in self._reader.lines():
                self._spells.take(line)
            if loop.time() > ends_s:
                raise BenchmarkError(f"expected {what} within {seconds:g} s, found none")
            await asyncio.sleep(LOOK_S)

    def _have_ended(self, count: int) -> bool:
        return len(self._spells.ended) >= count

    def _is_ready(self) -> bool:
        return all(status.ready for status in self._stack.snapshot())


def _configuration(*, with_lists: bool) -> TradingConfiguration:
    content = load_configuration([CONFIGURATION]).model_dump(mode="json")
    content["exchange"]["entry_lists"] = with_lists
    return parse_configuration(content, where="benchmark")


def _lengths(spells: Sequence[Spell]) -> list[int]:
    return [spell.length_ms for spell in spells]


def _told(spells: Sequence[Spell]) -> str:
    return f"{spread(_lengths(spells))} ms" if spells else "no position was bare"


def _figure(name: str, spells: Sequence[Spell], share: float, budget: Budget, usual_ms: float) -> Figure:
    return Figure(
        name=name,
        unit="ms",
        value=quantile(_lengths(spells), share),
        baseline=usual_ms,
        baseline_name="p50 without lists",
        budget=budget,
        samples=len(spells),
        load=load(),
    )
