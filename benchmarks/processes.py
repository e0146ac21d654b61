"""What processes cost: their proportional memory and their processor time, children included."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

KIBIBYTE = 1_024


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process and its children.

    Attributes:
        pss_bytes: Resident memory, of shared pages only the share.
        cpu_s: Processor time since its start.
    """

    pss_bytes: int
    cpu_s: float


def costs(pids: Mapping[str, int]) -> dict[str, Cost]:
    """Return the cost of each process by name."""
    return {name: _cost(pid) for name, pid in pids.items()}


def pss_bytes(rollup: str) -> int:
    """Return the proportional set size from the text of `/proc/PID/smaps_rollup`.

    Raises:
        ValueError: It does not stand there.
    """
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * KIBIBYTE
    message = f"expected a line 'Pss: N kB', found {rollup[:100]!r}"
    raise ValueError(message)


def shares_of_core(before: Mapping[str, Cost], after: Mapping[str, Cost], *, seconds: float) -> dict[str, float]:
    """Return how much of one core each process used, in percent; children that ended in between count as nothing."""
    return {
        name: round(max(0.0, cost.cpu_s - before[name].cpu_s) / seconds * 100, 2)
        for name, cost in after.items()
        if name in before
    }


def _cost(pid: int) -> Cost:
    process = psutil.Process(pid)
    family = (process, *process.children(recursive=True))
    return Cost(sum(_pss_bytes(member) for member in family), sum(_cpu_s(family)))


def _pss_bytes(process: psutil.Process) -> int:
    try:
        return pss_bytes(Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii"))
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended while we looked


def _cpu_s(family: Iterable[psutil.Process]) -> Iterable[float]:
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        yield times.user + times.system
