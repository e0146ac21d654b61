"""A process that is to die at a step dies there, once, and nowhere else."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.chaos.armed_service import CrashPoint
from tests.chaos.crash_menu import POINTS


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: found.append(number))
    return found


def said(directory: Path, **content: object) -> CrashPoint:
    file = directory / "crash_point.json"
    file.write_text(json.dumps(content))
    return CrashPoint(file)


def test_it_dies_at_the_nth_passing_of_its_step_and_the_next_process_does_not(tmp_path: Path, deaths: list[int]):
    point = said(tmp_path, step="sent POST order", nth=2)

    point.reach("sent POST order")
    point.reach("sending POST order")
    assert deaths == []

    point.reach("sent POST order")
    point.reach("sent POST order")
    assert deaths == [signal.SIGKILL]
    assert (tmp_path / "crash_point.struck").exists()


def test_what_is_said_anew_is_counted_anew(tmp_path: Path, deaths: list[int]):
    point = said(tmp_path, step="committed", nth=2)

    point.reach("committed orders.approved")
    said(tmp_path, step="committed orders", nth=2)
    point.reach("committed orders.approved")

    assert deaths == []


def test_without_the_file_nothing_happens(tmp_path: Path, deaths: list[int]):
    point = CrashPoint(tmp_path / "nothing.json")

    point.reach("committed")

    assert deaths == []
    assert point.said() == {}


def test_every_crash_point_but_the_frozen_owner_is_on_the_menu():
    numbers = {part for point in POINTS for part in point.name.replace(",", "").split() if part.startswith("CP")}

    assert numbers == {f"CP{number}" for number in range(1, 25)} - {"CP13"}
