"""Which `except` blocks no test has run: what nobody has seen fail is not known to be handled.

Invariant: every block of production code has run, or stands in `UNREACHED` with the reason why no test can run it.
"""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PRODUCTION: Final = ("libs", "services", "cli")

UNREACHED: Final[Mapping[str, str]] = {}
"""Why no test runs them, by `str(Block)`."""


@dataclass(frozen=True, slots=True)
class Block:
    """An `except` block.

    Attributes:
        function: Where it stands, with the classes and functions around it.
        caught: What it catches, as it is written.
        lines: Of what it does.
    """

    path: str
    function: str
    caught: str
    line: int
    lines: range

    def __str__(self) -> str:
        return f"{self.path} {self.function}: except {self.caught}"


def blocks_of(path: str, source: str) -> Iterator[Block]:
    """Yield the blocks of a file, in order."""
    yield from _blocks_within(ast.parse(source), path, ())


def _blocks_within(node: ast.AST, path: str, names: tuple[str, ...]) -> Iterator[Block]:
    for child in ast.iter_child_nodes(node):
        within = names
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            within = (*names, child.name)
        if isinstance(child, ast.ExceptHandler):
            yield Block(
                path=path,
                function=".".join(names) or "module",
                caught=ast.unparse(child.type) if child.type is not None else "everything",
                line=child.lineno,
                lines=range(child.body[0].lineno, (child.body[-1].end_lineno or 0) + 1),
            )
        yield from _blocks_within(child, path, within)


def never_run(blocks: Iterable[Block], ran: Callable[[str], Collection[int]]) -> list[Block]:
    """Return the blocks of which no line has run, as `ran` tells of a path."""
    return [block for block in blocks if not set(block.lines) & set(ran(block.path))]


def production_blocks(root: Path) -> list[Block]:
    """Return every block of production code, with paths below `root`."""
    files = [file for folder in PRODUCTION for file in sorted((root / folder).rglob("*.py"))]
    return [
        block
        for file in files
        for block in blocks_of(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))
    ]


def complaints(
    blocks: Iterable[Block], ran: Callable[[str], Collection[int]], *, unreached: Mapping[str, str] = UNREACHED
) -> list[str]:
    """Return a line for each block that should have run, and for each excuse of a block that there is not."""
    known = list(blocks)
    gaps = [block for block in never_run(known, ran) if str(block) not in unreached]
    gone = [excused for excused in unreached if excused not in {str(block) for block in known}]
    return [f"{block.path}:{block.line} {block.function}: except {block.caught}" for block in gaps] + [
        f"{excused}: there is no such block; take it out of UNREACHED" for excused in gone
    ]
