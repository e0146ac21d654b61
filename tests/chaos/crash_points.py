"""`python -m tests.chaos.crash_points --seeds N [--point CP5]`: a real executor dies exactly at each named step.

Each seed is a stack of its own, with all points one after the other; after each, everything must become ready and
trade again, and at the end the books must agree. CP13, a frozen owner, is what `tests.chaos.frozen` does.
"""

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from libs.embedded.services import Service
from tests.chaos import armed_service
from tests.chaos.arena import EXECUTOR, FENCE_MS, QUARANTINE_S, SETTINGS, Arena, Unsettled, open_arena
from tests.chaos.crash_menu import POINTS, CrashPoint
from tests.chaos.faults import arm, strikes
from tests.chaos.report import Report
from tests.chaos.run import READY_S_MAX, Run, say
from tests.chaos.starting import new_directory

STRUCK_S_MAX: Final = 60.0
"""Until the executor comes to a step, or a fault strikes."""
TOLD_S: Final = 6.0
"""For so long the executor is told what it is told."""
LOOK_S: Final = 0.02
HALT_LOOK_S: Final = 2.0
SCALED: Final = {"fence_ms": FENCE_MS, "quarantine_s": QUARANTINE_S, "crashes_max": 100}


async def pass_points(seed: int, points: Sequence[CrashPoint], root: Path) -> Report:
    """Play the points on one stack; return what was found."""
    report = Report(seed=seed, wanted=len(points), scaled=SCALED)
    file = root / "crash_point.json"
    settings = {**SETTINGS, EXECUTOR: {**SETTINGS[EXECUTOR], armed_service.VARIABLE: str(file)}}
    async with open_arena(root / "stack", seed=seed, settings=settings, change=_with_crash_points) as arena:
        going = Run(arena, report)
        has_lists = False
        try:
            await going.until_trading(arena.clock.now())
            for number, point in enumerate(points):
                if point.with_lists and not has_lists:
                    has_lists = True
                    await arena.command("CONFIGURE", "chaos: lists", changes={"exchange.entry_lists": "true"})
                    await going.until_trading(arena.clock.now())
                say(f"seed {seed}: {point.name}: {await _pass(arena, going, point, file, turn=seed + number)}")
        except Unsettled as error:
            report.failures.append(str(error))
        finally:
            file.unlink(missing_ok=True)
        await going.rest()
        await going.prove()
    return report


async def _pass(arena: Arena, going: Run, point: CrashPoint, file: Path, *, turn: int) -> str:
    """Play one point, and wait until everything trades again; return what happened.

    Raises:
        Unsettled: The point was not come to, or what follows does not become ready or trade.
    """
    loop = asyncio.get_running_loop()
    step = point.steps[turn % len(point.steps)] if point.steps else ""
    since_s, killed = loop.time(), [*point.killed]
    exchange = arena.tail.directory.parent
    before = await strikes(exchange)
    for fault in point.faults:
        await arm(exchange, {"for_s": STRUCK_S_MAX, **fault} if "count" in fault else fault)
    if step:
        _say_to_executor(file, {"step": step, "nth": 1})
        killed.append(EXECUTOR)
    elif point.settings is not None:
        _say_to_executor(file, point.settings)
        await asyncio.sleep(TOLD_S)
        _say_to_executor(file, {})
    if point.is_flushed:
        await arena.flush_redis()
    for name in point.killed:
        arena.kill(name)
    if step:
        struck = file.with_suffix(".struck")
        await _until(lambda: asyncio.to_thread(struck.exists), f"the executor at {step!r}", going)
        struck.unlink()
        since_s = loop.time()
    if point.faults:
        await _until(lambda: _has_struck(exchange, before), "a strike of the exchange's faults", going)
    recovery_s = await arena.until_ready(killed, since_s=since_s, seconds=READY_S_MAX)
    trading_s, halts = await going.until_trading(arena.clock.now())
    told = f"{step}; " if step else ""
    return f"{told}ready {recovery_s:.1f} s, entries {trading_s:.1f} s{f'; halted: {halts}' if halts else ''}"


def _say_to_executor(file: Path, what: Mapping[str, Any]) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(dict(what)), encoding="utf-8")
    draft.replace(file)


async def _has_struck(exchange: Path, before: int) -> bool:
    return await strikes(exchange) > before


async def _until(found: Callable[[], Awaitable[bool]], what: str, going: Run) -> None:
    """Wait for it, and end what halts of its own accord meanwhile: a halted account comes to no step."""
    loop = asyncio.get_running_loop()
    looked_s, ends_s = loop.time(), loop.time() + STRUCK_S_MAX
    while not await found():
        if loop.time() > ends_s:
            raise Unsettled(f"expected {what} within {STRUCK_S_MAX:g} s, found nothing")
        if loop.time() - looked_s > HALT_LOOK_S:
            looked_s = loop.time()
            await going.end_halt()
        await asyncio.sleep(LOOK_S)


def _with_crash_points(service: Service) -> Service:
    if service.name != EXECUTOR:
        return service
    return replace(service, command=(sys.executable, armed_service.__file__, f"services.{EXECUTOR}"))


def main(arguments: list[str]) -> int:
    """Play them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.crash_points", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many stacks, each with all points")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--point", default="", help="only the points whose name begins like this")
    options = parser.parse_args(arguments)
    points = [point for point in POINTS if point.name.startswith(options.point)]
    failures = 0
    for seed in range(options.seed, options.seed + options.seeds):
        root = new_directory()
        report = asyncio.run(pass_points(seed, points, root))
        sys.stdout.write("".join(f"seed {seed}: FAILED: {failure}\n" for failure in report.failures))
        failures += len(report.failures)
        if report.failures:
            say(f"Logs: {root}/stack/logs; the exchange's journal: {root}/stack/paper_exchange/journal")
        else:
            shutil.rmtree(root, ignore_errors=True)
    sys.stdout.write(f"{len(points)} points, {options.seeds} seeds: {failures} failures\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
