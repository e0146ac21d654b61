"""`python -m tests.chaos.frozen --freezes N --seed S`: freeze the owner of the orders, and see its standby take over.

What must be true of each freeze: an order of the successor's epoch stands at the exchange soon after it, and none of
the frozen one's epoch is accepted from its thaw on.

The watchdog's patience is raised: it asks one address, and would halt for the silence of an owner that was replaced.
"""

import argparse
import asyncio
import random
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from benchmarks.figures import quantile
from libs.common.clock import epoch_ms
from tests.chaos.aiming import take_aim
from tests.chaos.arena import EXECUTOR, SETTINGS, STANDBY, Arena, Unsettled, open_arena
from tests.chaos.plan import Aim
from tests.chaos.report import Report
from tests.chaos.run import READY_S_MAX, Run, say
from tests.chaos.starting import new_directory

FREEZE_S: Final = 12.0
TAKEN_OVER_S_MAX: Final = 60.0
LOOK_S: Final = 0.1
ANSWER_S_MAX: Final = 2.0
AIMS: Final = (Aim.RECORDED, Aim.ACCEPTED, Aim.PROTECTING, Aim.LEAVING, Aim.SELLING)
PATIENT: Final = {**SETTINGS, "watchdog": {"TRADER_HALT_AFTER_S": "120"}}

_EPOCH: Final = re.compile(r'^trader_ownership_epoch\{role="trade_executor"\} (\S+)$', re.MULTILINE)
_SUCCESSORS: Final = """
    SELECT client_order_id FROM intents WHERE epoch > $1 AND signed_at_ms IS NOT NULL ORDER BY signed_at_ms
"""
_PREDECESSORS: Final = "SELECT client_order_id FROM intents WHERE epoch <= $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """What became of a frozen owner.

    Attributes:
        succeeded_s: From the freeze to the successor's first order at the exchange.
        accepted: Orders of the frozen epoch that the exchange took after the thaw.
    """

    aim: Aim
    succeeded_s: float
    accepted: tuple[str, ...]


async def freeze_owner(arena: Arena, aim: Aim) -> Freeze:
    """Freeze whoever owns the orders, and thaw it.

    Raises:
        Unsettled: Nobody owns them, or nobody takes over.
    """
    owner, epoch = await _owner(arena)
    frozen_ms, group = 0, None

    async def strike() -> None:
        nonlocal frozen_ms, group
        frozen_ms, group = epoch_ms(arena.clock.now()), arena.freeze(owner)

    await take_aim(arena, aim, strike)
    thawing = asyncio.create_task(_thaw_later(arena, group))
    try:
        first_ms = await _first_order(arena, epoch)
    finally:
        thawed_ms = await thawing
    await arena.until_ready((), since_s=asyncio.get_running_loop().time(), seconds=READY_S_MAX)
    predecessors = {row["client_order_id"] for row in await arena.query(_PREDECESSORS, epoch)}
    arena.tail.poll()
    accepted = [name for name, seen in arena.tail.orders.items() if seen.accepted_at_ms >= thawed_ms]
    return Freeze(
        aim=aim,
        succeeded_s=(first_ms - frozen_ms) / 1_000,
        accepted=tuple(name for name in accepted if name in predecessors),
    )


async def _thaw_later(arena: Arena, group: int | None) -> int:
    try:
        await asyncio.sleep(FREEZE_S)
    finally:
        thawed_ms = epoch_ms(arena.clock.now())
        arena.thaw(group)
    return thawed_ms


async def _first_order(arena: Arena, epoch: int) -> int:
    """Return when the exchange took the first order of a later epoch."""
    ends_s = asyncio.get_running_loop().time() + TAKEN_OVER_S_MAX
    while asyncio.get_running_loop().time() < ends_s:
        arena.tail.poll()
        for row in await arena.query(_SUCCESSORS, epoch):
            seen = arena.tail.orders.get(row["client_order_id"])
            if seen is not None:
                return seen.accepted_at_ms
        await asyncio.sleep(LOOK_S)
    raise Unsettled(f"expected an order of a successor within {TAKEN_OVER_S_MAX:g} s, found none")


async def _owner(arena: Arena) -> tuple[str, int]:
    """Return who owns the orders, and its epoch."""
    ends_s = asyncio.get_running_loop().time() + READY_S_MAX
    while asyncio.get_running_loop().time() < ends_s:
        for name in (EXECUTOR, STANDBY):
            epoch = await _epoch_of(arena, name)
            if epoch:
                return name, epoch
        await asyncio.sleep(LOOK_S)
    raise Unsettled(f"expected an owner within {READY_S_MAX:g} s, found none")


async def _epoch_of(arena: Arena, name: str) -> int:
    url = next(status.metrics_url for status in arena.stack.snapshot() if status.name == name)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S_MAX)) as session,
            session.get(url or "") as response,
        ):
            found = _EPOCH.search(await response.text())
    except (aiohttp.ClientError, OSError):
        return 0
    return int(float(found[1])) if found else 0


async def freeze_often(seed: int, freezes: int, root: Path) -> tuple[list[Freeze], Report]:
    """Freeze the owner again and again; return what became of it, and the proofs at the end."""
    chance = random.Random(f"frozen {seed}")
    report = Report(seed=seed, wanted=freezes, scaled={})
    found: list[Freeze] = []
    async with open_arena(root / "stack", seed=seed, standby=True, settings=PATIENT) as arena:
        going = Run(arena, report)
        try:
            for aim in _dealt(chance, freezes):
                await going.until_trading(arena.clock.now())
                found.append(await freeze_owner(arena, aim))
                say(f"{len(found)}/{freezes} {aim}: succeeded after {found[-1].succeeded_s:.1f} s {found[-1].accepted}")
        except Unsettled as error:
            say(str(error))
            report.failures.append(str(error))
        await going.rest()
        await going.prove()
    report.failures += [f"accepted from a thawed owner: {each}" for each in found if each.accepted]
    return found, report


def _dealt(chance: random.Random, count: int) -> Iterator[Aim]:
    for number in range(count):
        yield AIMS[number % len(AIMS)] if number < len(AIMS) else chance.choice(AIMS)


def main(arguments: list[str]) -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.frozen", description=__doc__)
    parser.add_argument("--freezes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    root = new_directory()
    found, report = asyncio.run(freeze_often(options.seed, options.freezes, root))
    times = [each.succeeded_s for each in found]
    if times:
        sys.stdout.write(
            f"{len(found)} freezes: the successor's first order after p50 {quantile(times, 0.5):.1f} s, "
            f"max {max(times):.1f} s; accepted from thawed owners: {sum(len(each.accepted) for each in found)}\n"
        )
    sys.stdout.write("".join(f"FAILED: {failure}\n" for failure in report.failures))
    if report.failures:
        say(f"Logs: {root}/stack/logs; the exchange's journal: {root}/stack/paper_exchange/journal")
        return 1
    shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
