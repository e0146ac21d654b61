"""The documents: links lead somewhere, both READMEs say the same, make targets exist, nothing private is named."""

import re
from pathlib import Path

import pytest

from tests.support.documents import (
    README,
    README_KO,
    ROOT,
    RUNBOOK,
    anchors,
    blocks,
    documents,
    headings,
    inline_code,
    links,
    named,
    rows,
    shell_lines,
)

MAKE_TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PRIVATE = re.compile(r"/work/|/tmp/|/root/|/home/\w")
DECISIONS = ROOT / "docs" / "decisions"


@pytest.mark.parametrize("document", documents(), ids=named)
def test_relative_links_resolve(document: Path):
    text = document.read_text(encoding="utf-8")

    for link in links(text):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{named(document)}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{named(document)}: no heading for {link}"


@pytest.mark.parametrize("document", documents(), ids=named)
def test_make_targets_exist(document: Path):
    text = document.read_text(encoding="utf-8")

    found = [code.split()[1] for code in [*inline_code(text), *shell_lines(text)] if re.match(r"make [a-z]", code)]

    assert set(found) <= MAKE_TARGETS


@pytest.mark.parametrize("document", [*documents(), ROOT / "NOTICE"], ids=named)
def test_no_path_of_somebodys_machine_is_named(document: Path):
    assert PRIVATE.search(document.read_text(encoding="utf-8")) is None


def test_both_readmes_have_the_same_structure():
    english, korean = (path.read_text(encoding="utf-8") for path in (README, README_KO))

    assert [level for level, _ in headings(english)] == [level for level, _ in headings(korean)]
    for language in ("sh", "text", "json"):
        assert blocks(english, language) == blocks(korean, language)
    assert len(list(rows(english))) == len(list(rows(korean)))
    assert {link for link in links(english) if link != README_KO.name} == {
        link for link in links(korean) if link != README.name
    }


def test_both_readmes_name_the_same_things():
    english, korean = (path.read_text(encoding="utf-8") for path in (README, README_KO))

    assert set(inline_code(english)) == set(inline_code(korean))


def test_the_readme_opens_with_what_it_is_the_disclaimer_and_the_two_commands():
    text = README.read_text(encoding="utf-8")

    places = [
        text.index(words) for words in ("Crypto Trader Pro trades", "No profit is claimed", "make run", "make test")
    ]
    assert places == sorted(places)
    assert places[-1] < 2_000


def test_every_entry_of_the_runbook_begins_with_how_to_halt():
    text = RUNBOOK.read_text(encoding="utf-8")
    entries = re.split(r"^## ", text, flags=re.MULTILINE)[1:]

    for entry in entries:
        title, _, body = entry.partition("\n\n")
        if title != "Resuming":
            first = body.splitlines()[0]
            assert first.startswith("Halt: "), title
            assert "trader halt --reason" in first or "touch .data/halt/HALT" in first or "halted" in first, title


def test_every_decision_is_listed_and_has_its_four_parts():
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    records = sorted(DECISIONS.glob("[0-9]*.md"))

    assert [path.name for path in records] == [link for link in links(index) if link[0].isdigit()]
    for number, path in enumerate(records, start=1):
        text = path.read_text(encoding="utf-8")
        assert path.name.startswith(f"{number:04d}-")
        assert [title for level, title in headings(text) if level > 1] == [
            "Context",
            "Decision",
            "Consequences",
            "Alternatives",
        ]
