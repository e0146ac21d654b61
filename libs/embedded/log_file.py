"""One bounded log file a process: the program appends, the supervisor cuts.

Programs hold the file open in append mode, so that cutting it to nothing needs no word with them. Invariant: a log and
its predecessor together hold at most `2 x LOG_BYTES_MAX` and what was written between two looks (one second).
"""

import os
import shutil
from pathlib import Path

LOG_BYTES_MAX = 8 * 1024 * 1024
TAIL_BYTES_MAX = 8 * 1024


def open_for_child(path: Path) -> int:
    """Return a descriptor that appends to the log; the caller closes it after the child has it."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def bound(path: Path, *, bytes_max: int = LOG_BYTES_MAX) -> bool:
    """Move a log that has outgrown `bytes_max` aside and empty it; return whether that was needed.

    What is written between the copy and the cut (well under a millisecond) is lost: the price of one mechanism that
    works for every program, also those that cannot reopen their log.
    """
    if not path.exists() or path.stat().st_size <= bytes_max:
        return False
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """Return the last lines of a log, oldest first, from its last 8 KiB."""
    if not path.exists():
        return ()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES_MAX))
        text = file.read().decode("utf-8", errors="replace")
    return tuple(text.splitlines()[-count:])
