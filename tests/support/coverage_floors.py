"""Hold what the lanes of `make test` measured to a floor for each package: `python -m tests.support.coverage_floors`.

Invariant: every package has a floor, and one below it ends this with status 1 and with the lines that no test ran; so
does an `except` block that no test ran.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from coverage import Coverage

from tests.support.except_blocks import complaints, production_blocks

FLOOR_PCT: Final = 90.0
FLOORS_PCT: Final[Mapping[str, float]] = {"libs/trading": 100.0}
"""The floors that differ: the core decides about money and does no I/O, so nothing keeps a test from any of it."""

DIVIDED: Final = frozenset({"libs", "services"})
"""Folders whose packages are counted apart."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How much of a package the tests ran: its statements, and both ways of each of its branches."""

    package: str
    ran: int
    of: int

    @property
    def pct(self) -> float:
        """The share that ran, rounded down: 100 means all of it."""
        return self.ran * 1_000 // self.of / 10

    @property
    def floor_pct(self) -> float:
        """The least share that must run."""
        return FLOORS_PCT.get(self.package, FLOOR_PCT)

    @property
    def is_low(self) -> bool:
        """Whether too little ran."""
        return self.pct < self.floor_pct

    def __str__(self) -> str:
        low = f"   below its floor of {self.floor_pct:g} %" if self.is_low else ""
        return f"{self.package:<28}{self.pct:>6.1f} %  of {self.of:>6,}{low}"


def package_of(path: str) -> str:
    """Return the package that a file counts for."""
    top, *below = PurePosixPath(path).parts
    return f"{top}/{below[0]}" if top in DIVIDED and len(below) > 1 else top


def by_package(files: Mapping[str, Mapping[str, Any]]) -> list[Measured]:
    """Return the packages of the files of a JSON report of coverage.py, by name."""
    ran: dict[str, int] = {}
    of: dict[str, int] = {}
    for path, report in files.items():
        package, summary = package_of(path), report["summary"]
        ran[package] = ran.get(package, 0) + summary["covered_lines"] + summary["covered_branches"]
        of[package] = of.get(package, 0) + summary["num_statements"] + summary["num_branches"]
    return [Measured(package, ran[package], of[package]) for package in sorted(of) if of[package]]


def put_together() -> Coverage:
    """Return what the lanes left, in one piece.

    Raises:
        coverage.exceptions.NoDataError: They left nothing.
    """
    coverage = Coverage()
    coverage.load()
    coverage.combine()
    coverage.save()
    return coverage


def main() -> int:
    """Print a line for each package, and the gaps of those that are low; return 1 if there is a gap."""
    coverage = put_together()
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "coverage.json"
        coverage.json_report(outfile=str(report))
        packages = by_package(json.loads(report.read_text(encoding="utf-8"))["files"])
    print("Statements and branches that the tests ran:", *packages, sep="\n")  # noqa: T201 - what a person reads
    low = [measured for measured in packages if measured.is_low]
    for measured in low:
        coverage.report(include=[f"{measured.package}/*"], show_missing=True, skip_covered=True)
    unhandled = _never_handled(coverage)
    print(*unhandled or ["Every `except` block ran."], sep="\n")  # noqa: T201 - the same
    return 1 if low or unhandled else 0


def _never_handled(coverage: Coverage) -> list[str]:
    root, measured = Path.cwd(), coverage.get_data()
    said = complaints(production_blocks(root), lambda path: measured.lines(str(root / path)) or ())
    return ["`except` blocks that no test ran:", *said] if said else []


if __name__ == "__main__":
    sys.exit(main())
