"""How much room the disk has that the halt file is written to; in containers that is the disk of every volume.

It is shown and not acted on: a full disk stops the stores, whose silence is answered elsewhere.
"""

import asyncio
import shutil
from pathlib import Path

import structlog

from libs.common.observability import metrics

_log = structlog.get_logger(__name__)


async def look_at_disk(directory: Path) -> None:
    """Show the size of a directory's disk and what is left of it; one that cannot be read shows nothing new."""
    try:
        usage = await asyncio.to_thread(shutil.disk_usage, directory)
    except OSError as error:
        _log.warning("The disk cannot be looked at", directory=str(directory), error=str(error))
        return
    metrics.DISK_FREE_BYTES.set(usage.free)
    metrics.DISK_SIZE_BYTES.set(usage.total)
