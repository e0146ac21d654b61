"""Licences are allowed one by one; vulnerabilities are asked for with a deadline, and not asked again within a day."""

import json
import os
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.support import supply_chain
from tests.support.supply_chain import Policy, bill_of_materials, licence_of, satisfied, vulnerabilities

ALLOWED = frozenset({"MIT", "BSD-3-Clause"})


@pytest.mark.parametrize(
    ("expression", "is_satisfied"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT AND (GPL-3.0-only OR BSD-3-Clause)", True),
        ("(MIT OR GPL-3.0-only) AND (GPL-3.0-only OR GPL-2.0-only)", False),
        ("(MIT)", True),
    ],
)
def test_an_expression_is_satisfied_by_what_is_allowed(expression: str, is_satisfied: object):
    assert satisfied(expression, ALLOWED) == is_satisfied


def test_a_new_licence_is_named_with_its_package_and_an_entry_for_nothing_too():
    policy = Policy(ALLOWED, {"silent": "MIT", "gone": "MIT"})

    found = list(policy.objections([("good", "MIT"), ("silent", ""), ("bad", "SSPL-1.0"), ("mute", "")]))

    assert found == [
        "bad: expected a licence of licences-allowed (pyproject.toml), found SSPL-1.0",
        "mute: expected a licence of licences-allowed (pyproject.toml), found none",
        "gone: in licences-looked-up, and not installed",
    ]


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        ([("License-Expression", "MIT OR ISC"), ("License", "other")], "MIT OR ISC"),
        ([("Classifier", "License :: OSI Approved :: MIT License"), ("License", "other")], "MIT"),
        ([("License", "Simplified BSD")], "BSD-2-Clause"),
        ([("License", "My own\nand so on")], "My own"),
        ([], ""),
    ],
)
def test_a_licence_is_read_from_what_a_package_says(lines: list[tuple[str, str]], licence: str):
    message = Message()
    for name, text in lines:
        message[name] = text

    package: Any = type("Package", (), {"metadata": message})()

    assert licence_of(package) == licence


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lend a program in place of uv, and a place for what was asked."""
    monkeypatch.setattr(supply_chain, "ASKED", tmp_path / "asked")
    return tmp_path / "uv"


def says(uv: Path, script: str) -> str:
    uv.write_text(f"#!/bin/sh\necho asked >> {uv}.log\n{script}\n")
    uv.chmod(0o755)
    return str(uv)


def test_a_known_vulnerability_fails_every_time(uv: Path):
    program = says(uv, "echo 'aiohttp: GHSA-0'; exit 1")

    assert [vulnerabilities(program) for _ in range(2)] == [(1, "aiohttp: GHSA-0\n")] * 2


def test_a_clean_answer_holds_for_a_day(uv: Path):
    program = says(uv, "exit 0")

    assert vulnerabilities(program) == (0, "vulnerabilities: none known")
    assert vulnerabilities(program) == (0, "vulnerabilities: none known")
    assert Path(f"{uv}.log").read_text() == "asked\n"
    os.utime(supply_chain.ASKED, (0, 0))
    assert vulnerabilities(program) == (0, "vulnerabilities: none known")
    assert Path(f"{uv}.log").read_text() == "asked\n" * 2


def test_a_database_that_is_not_reached_or_is_silent_is_told_and_fails_nothing(
    uv: Path, monkeypatch: pytest.MonkeyPatch
):
    program = says(uv, "echo 'cause: dns error' >&2; exit 2")
    assert [vulnerabilities(program) for _ in range(2)] == [
        (0, "vulnerabilities: skipped, their database cannot be reached from here")
    ] * 2
    assert Path(f"{uv}.log").read_text() == "asked\n"
    supply_chain.ASKED.unlink()
    monkeypatch.setattr(supply_chain, "ANSWER_S_MAX", 0.05)
    status, said = vulnerabilities(says(uv, "exec sleep 60"))
    assert (status, "did not answer within 0.05 s" in said) == (0, True)


def test_a_bill_of_materials_says_how_many_it_holds(uv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(supply_chain, "ROOT", tmp_path)
    content = json.dumps({"components": [{"name": "aiohttp"}]})
    program = says(uv, f"for place; do :; done; echo '{content}' > $place")

    assert bill_of_materials(program, tmp_path / "sbom.json") == "bill of materials: 1 components in sbom.json"
