import json
from pathlib import Path

import pytest

from libs.embedded import directory as module
from libs.embedded.directory import LAYOUT_VERSION, DataDirectory
from libs.embedded.errors import EmbeddedError
from libs.embedded.passwords import Passwords


def a_directory(root: Path) -> DataDirectory:
    directory = DataDirectory(root / "data")
    directory.create()
    return directory


def test_secrets_are_readable_by_their_owner_only_and_made_once(tmp_path: Path) -> None:
    directory = a_directory(tmp_path)

    first = Passwords(directory.secrets).password("postgres-risk_manager")

    assert Passwords(directory.secrets).password("postgres-risk_manager") == first
    assert len(first) >= 32
    assert directory.secrets.stat().st_mode & 0o777 == 0o700
    assert (directory.secrets / "postgres-risk_manager").stat().st_mode & 0o777 == 0o600


def test_a_directory_of_a_newer_version_is_refused_as_configuration(tmp_path: Path) -> None:
    directory = a_directory(tmp_path)
    (directory.root / "version.json").write_text(json.dumps({"layout": LAYOUT_VERSION + 1}))

    with pytest.raises(EmbeddedError, match=f"expected layout version {LAYOUT_VERSION} or older") as refused:
        directory.create()
    assert refused.value.exit_status == 4


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layout": null}'])
def test_a_damaged_version_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    directory = a_directory(tmp_path)
    (directory.root / "version.json").write_text(text)

    with pytest.raises(EmbeddedError, match=r"version\.json: expected"):
        directory.create()


def test_a_full_disk_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE_BYTES_MIN", 2**62)

    with pytest.raises(EmbeddedError, match="MiB free on its disk, found"):
        a_directory(tmp_path)


def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EmbeddedError, match="expected a directory that can be written") as refused:
        DataDirectory(tmp_path / "file" / "data").create()
    assert refused.value.exit_status == 4


def test_the_lock_keeps_a_second_stack_out_and_names_the_first(tmp_path: Path) -> None:
    directory = a_directory(tmp_path)

    with directory.locked():
        pid = directory.running_pid()
        with pytest.raises(EmbeddedError, match=rf"already running \(pid {pid}\)"), directory.locked():
            pass
    assert directory.running_pid() is None
    with directory.locked():
        pass


async def test_stopping_what_does_not_run_has_an_exit_status_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="expected a running stack, found none") as refused:
        await a_directory(tmp_path).stop_running()
    assert refused.value.exit_status == 3
