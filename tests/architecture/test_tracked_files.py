"""What the repository holds is about the project and nothing else."""

import re

from tests.support.source import ROOT, named, tracked

PLACES = re.compile(rb"/(?:work|root)/[a-z]|/home/[a-z]|/Users/[a-z]")
"""Paths of somebody's machine."""

SECRETS = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{60}")
BYTES_MAX = 8_000_000


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = [
        f"{named(path)}: {match.group().decode()}"
        for path in tracked("*.py", "*.md", "*.toml", "*.json", "*.yml", "*.yaml", "*.lock", "Makefile", ".ci/*")
        for match in PLACES.finditer(path.read_bytes())
        if path.parent.name != "architecture"
    ]

    assert found == []


def test_no_private_key_is_stored() -> None:
    assert [named(path) for path in tracked("*") if SECRETS.search(path.read_bytes())] == []


def test_no_file_is_unreasonably_large() -> None:
    assert [named(path) for path in tracked("*") if path.stat().st_size > BYTES_MAX] == []


def test_nothing_that_is_made_by_running_is_stored() -> None:
    made = re.compile(r"(^|/)(__pycache__|\.venv|\.data|\.mypy_cache|node_modules)/|\.pyc$|(^|/)\.coverage$")

    assert [named(path) for path in tracked("*") if made.search(named(path))] == []


def test_every_package_says_what_it_is() -> None:
    silent = [
        named(path)
        for folder in ("libs", "services", "cli")
        for path in (ROOT / folder).rglob("*.py")
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]

    assert silent == []


def test_names_of_test_files_are_unique() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]

    assert sorted({name for name in names if names.count(name) > 1}) == []
