"""The documents of the project as tests read them: headings, code, tables, links."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
README_KO = ROOT / "README.ko.md"
RUNBOOK = ROOT / "docs" / "runbook.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def documents() -> list[Path]:
    """Return every document that people wrote."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def named(path: Path) -> str:
    """Return a document's name as a test's id."""
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [content for found, content in _FENCE.findall(text) if found == language]


def prose(text: str) -> str:
    """Return a document without its fenced blocks."""
    return _FENCE.sub("", text)


def headings(text: str) -> list[tuple[int, str]]:
    """Return level and title of each heading."""
    return [(len(marks), title.strip()) for marks, title in _HEADING.findall(prose(text))]


def anchors(text: str) -> set[str]:
    """Return the anchors that a forge makes of the headings."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(text)}


def links(text: str) -> list[str]:
    """Return where the links lead."""
    return _LINK.findall(prose(text))


def inline_code(text: str) -> list[str]:
    """Return what stands between single backticks."""
    return _CODE.findall(prose(text))


def shell_lines(text: str) -> list[str]:
    """Return the commands of the shell blocks, one a line."""
    return [line for block in blocks(text, "sh") for line in block.splitlines() if line.strip()]


def section(text: str, title: str) -> str:
    """Return what stands below a heading of the second level, up to the next one of its level or above."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^##? |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of every table row but those under the head."""
    for line in prose(text).splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def trader_arguments(line: str) -> list[str]:
    """Return the arguments of a documented `trader` command."""
    return shlex.split(line)[1:]
