"""The table of processes that a running stack writes and other terminals read; and what a killed stack left behind.

Invariant: a process is ended here only when it is known to be ours: its id and its time of birth stand in the table, or
its environment carries this stack's mark.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from libs.embedded.directory import DataDirectory, write_atomically
from libs.embedded.process import ProcessStatus

STACK_VARIABLE = "TRADER_STACK"
"""Environment variable of every process of a stack: the data directory it belongs to."""

_SAME_BIRTH_S = 2.0
"""The time of birth is derived from the time of boot, which moves when the clock is set."""
_GONE_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class ProcessTable:
    """What a running stack says about itself.

    Attributes:
        supervisor: Process id of `trader up`.
        time_to_ready_s: From the first process started to everything ready; None before that.
        processes: One row a process, as `trader ps --json` shows them.
    """

    supervisor: int
    time_to_ready_s: float | None
    processes: tuple[dict[str, object], ...]


def write_table(
    directory: DataDirectory, supervisor: int, rows: Sequence[ProcessStatus], time_to_ready_s: float | None
) -> None:
    """Replace the table."""
    births = {row.pid: birth for row in rows if row.pid is not None and (birth := _birth(row.pid)) is not None}
    text = json.dumps(
        {
            "supervisor": supervisor,
            "time_to_ready_s": time_to_ready_s,
            "processes": [asdict(row) for row in rows],
            "births": births,
        }
    )
    write_atomically(directory.processes_file, text)


def read_table(directory: DataDirectory) -> ProcessTable | None:
    """Return the table of the stack that runs in the directory, or None when none runs."""
    running = directory.running_pid()
    written = _read(directory.processes_file)
    if running is None or written.get("supervisor") != running:
        return None
    return ProcessTable(running, written["time_to_ready_s"], tuple(written["processes"]))


def end_leftovers(directory: DataDirectory) -> tuple[int, ...]:
    """End what an earlier stack in this directory left behind, and return the process ids.

    Call it with the directory's lock held. On Linux there is nothing to find: the kernel has ended them.
    """
    births = {int(pid): float(birth) for pid, birth in _read(directory.processes_file).get("births", {}).items()}
    leftovers = [
        process
        for process in psutil.process_iter()
        if _is_recorded(process, births) or _stack_of(process) == str(directory.root)
    ]
    for process in leftovers:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(leftovers, timeout=_GONE_WITHIN_S)
    return tuple(process.pid for process in leftovers)


def _read(path: Path) -> dict[str, Any]:
    try:
        written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return written


def _is_recorded(process: psutil.Process, births: dict[int, float]) -> bool:
    birth = births.get(process.pid) and _birth(process.pid)
    return birth is not None and abs(birth - births[process.pid]) < _SAME_BIRTH_S


def _birth(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _stack_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(STACK_VARIABLE)
    except (psutil.Error, OSError):
        return None  # gone, or another user's
