"""What docs/money_path.md says of the searches."""

import re
from collections.abc import Collection

from tests.support.documents import ROOT, rows, shell_lines

PAGE = ROOT / "docs" / "money_path.md"


def told(name: str) -> list[str]:
    """Return the cells that stand beside a name in one of the page's tables."""
    return next(cells[1:] for cells in rows(PAGE.read_text(encoding="utf-8")) if cells[0] == name)


def figure(states: int, mistakes: Collection[str]) -> str:
    """Return what a search came to, as the page writes it."""
    return f"{states} states: {', '.join(sorted(mistakes)) or 'holds'}"


def paths_run() -> set[str]:
    """Return the paths that the page's commands run."""
    lines = shell_lines(PAGE.read_text(encoding="utf-8"))
    return {path for line in lines for path in re.findall(r"tests/[\w/.]+", line)}
