"""The project's own source, read as text and as syntax."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(*patterns: str) -> list[Path]:
    """Return the files that the repository tracks; those of the working tree where it is no repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, check=False, text=True
    )
    if listed.returncode:
        return [path for pattern in patterns for path in ROOT.glob(f"**/{pattern}") if path.is_file()]
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def modules(*folders: str) -> list[Path]:
    """Return the Python files below folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the dotted name and the line of every call in a module: `datetime.now`, `loop().time`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def named(path: Path) -> str:
    """Return a path as people write it: from the root."""
    return path.relative_to(ROOT).as_posix()
