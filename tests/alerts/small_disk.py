"""A service on a disk of its own that fills up, in a process that grows: `python -m tests.alerts.small_disk …`.

It is run where it may mount (`unshare --user --map-root-user --mount`), and does what the file of orders says.
"""

import json
import runpy
import subprocess
import sys
import threading
import time
from pathlib import Path

SIZE_BYTES = 64 * 1024 * 1024
STEP_S = 0.5
_leaked: list[bytes] = []


def _obey(disk: Path, orders: Path) -> None:
    written = 0
    with (disk / "filling").open("wb", buffering=0) as file:
        while True:
            order = json.loads(orders.read_text(encoding="utf-8"))
            wanted = max(int(order["used_ratio"] * SIZE_BYTES), 0)
            step = min(wanted - written, int(order["bytes_per_s"] * STEP_S))
            if step > 0:
                written += file.write(b"\1" * step)
            _leaked.append(b"\1" * int(order["leak_bytes_per_s"] * STEP_S))
            time.sleep(STEP_S)


def main(disk: Path, orders: Path, module: str) -> None:
    """Mount the disk, and become the service."""
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "none", str(disk)), check=True)
    (disk / "halt").mkdir()
    threading.Thread(target=_obey, args=(disk, orders), daemon=True).start()
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
