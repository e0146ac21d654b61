"""A run from an empty directory to its report.

Invariant: the directory of a run that found something stays, and it is said where it is.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

from tests.chaos.arena import FENCE_MS, QUARANTINE_S, Unsettled, open_arena
from tests.chaos.report import Report
from tests.chaos.run import Run, say


async def run(seed: int, kills: int, root: Path) -> Report:
    """Run once; the report tells what was found, failures included."""
    scaled = {"fence_ms": FENCE_MS, "quarantine_s": QUARANTINE_S, "crashes_max": 100}
    report = Report(seed=seed, wanted=kills, scaled=scaled)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    say(f"chaos: seed {seed}, {kills} kills, in {root}")
    async with open_arena(root / "stack", seed=seed) as arena:
        report.time_to_ready_s = arena.stack.time_to_ready_s
        say(f"ready after {report.time_to_ready_s} s")
        going = Run(arena, report)
        try:
            await going.until_enough()
        except Unsettled as error:
            report.failures.append(str(error))
        try:
            await going.rest()
        except Unsettled as error:
            report.failures.append(str(error))
        await going.prove()
    report.duration_s = round(loop.time() - began_s, 1)
    return report


def new_directory() -> Path:
    """Return a directory for a stack, which whoever asked for it removes."""
    root = Path(tempfile.mkdtemp(prefix="trader-chaos-"))
    root.chmod(0o711)  # the account that Postgres runs as has to pass
    return root


async def run_and_keep_what_failed(seed: int, kills: int) -> Report:
    """Run once in a directory that stays, with its logs and the exchange's journal, only where something was found."""
    root, found = new_directory(), True
    try:
        report = await run(seed, kills, root)
        found = bool(report.failures)
    finally:
        if found:
            say(f"Again: make chaos KILLS={kills} SEED={seed}")
            say(f"Logs: {root}/stack/logs; the exchange's journal: {root}/stack/paper_exchange/journal")
        else:
            shutil.rmtree(root, ignore_errors=True)
    return report
