import os
import subprocess
import sys
from pathlib import Path

import pytest

from libs.embedded import launch
from libs.embedded.command import run_to_end
from libs.embedded.errors import EmbeddedError
from libs.embedded.launch import NAMESPACE, NOBODY, SELF
from libs.embedded.stores.identity import choose_identity, give

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


def launched(*command: str, supervisor: int | None = None, identity: str = SELF) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (sys.executable, "-I", "-S", launch.__file__, str(supervisor or os.getpid()), identity, *command),
        check=False,
        capture_output=True,
        text=True,
        timeout=10,
    )


def test_a_child_becomes_the_program_with_the_same_process_id() -> None:
    assert launched("/bin/sh", "-c", "echo up; exit 7").returncode == 7


def test_a_child_whose_supervisor_is_already_dead_does_not_start() -> None:
    ended = launched("/bin/echo", "up", supervisor=1)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "the supervisor died" in ended.stderr


def test_files_that_a_program_makes_are_its_own(tmp_path: Path) -> None:
    launched("/bin/touch", str(tmp_path / "made"))

    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


@as_root
def test_a_program_that_refuses_root_can_run_as_nobody() -> None:
    assert launched("/usr/bin/id", "-un", identity=NOBODY).stdout == "nobody\n"


@as_root
def test_a_program_in_a_namespace_is_no_root_but_owns_roots_files(tmp_path: Path) -> None:
    ended = launched("/bin/sh", "-c", f"id -u && touch {tmp_path}/made", identity=NAMESPACE)
    if ended.returncode == 1 and "unshare" in ended.stderr:
        pytest.skip("this machine allows no user namespaces")

    assert ended.stdout == "1000\n"
    assert (tmp_path / "made").stat().st_uid == 0


@as_root
def test_nobody_is_chosen_where_nobody_can_go_and_is_given_what_it_works_in(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    assert choose_identity(Path("/tmp")) == NOBODY
    assert choose_identity(tmp_path) != NOBODY

    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "file").touch()
    give(tmp_path / "cluster", NOBODY)
    assert (tmp_path / "cluster" / "file").stat().st_uid != 0
    give(tmp_path / "cluster", NAMESPACE)
    assert (tmp_path / "cluster" / "file").stat().st_uid == 0


@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        (("/bin/sh", "-c", "echo no space; exit 3"), "sh: expected exit status 0, found 3", "no space"),
        (("/bin/sleep", "60"), r"sleep: expected it to end within 0\.3 s", "overloaded"),
    ],
)
async def test_a_program_that_fails_or_hangs_is_an_error_with_its_words(
    tmp_path: Path, command: tuple[str, ...], message: str, hint: str
) -> None:
    with pytest.raises(EmbeddedError, match=message) as failed:
        await run_to_end(command, environment={}, working_directory=tmp_path, deadline_s=0.3)
    assert hint in failed.value.hint


async def test_a_program_that_ends_well_is_asked_and_answers(tmp_path: Path) -> None:
    answer = await run_to_end(("/bin/cat",), environment={}, working_directory=tmp_path, deadline_s=10, text="hello")

    assert answer == "hello"
