import os
from pathlib import Path

from libs.embedded import log_file


def test_a_log_is_cut_when_it_has_outgrown_its_bound_and_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "kafka.log"
    writer = log_file.open_for_child(path)
    os.write(writer, b"x" * 100)

    assert not log_file.bound(path, bytes_max=100)
    os.write(writer, b"x")
    assert log_file.bound(path, bytes_max=100)
    os.write(writer, b"next\n")

    os.close(writer)
    assert path.read_bytes() == b"next\n"
    assert (tmp_path / "kafka.log.1").stat().st_size == 101


def test_the_last_lines_are_read_from_the_end_of_a_long_log(tmp_path: Path) -> None:
    path = tmp_path / "kafka.log"
    path.write_text("".join(f"line {number}\n" for number in range(100_000)))

    assert log_file.last_lines(path, 2) == ("line 99998", "line 99999")


def test_a_missing_log_has_no_lines_and_needs_no_cut(tmp_path: Path) -> None:
    assert log_file.last_lines(tmp_path / "none.log", 5) == ()
    assert not log_file.bound(tmp_path / "none.log")
