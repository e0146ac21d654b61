"""The archive of the broker's classes: made once a machine, used from then on."""

import asyncio
from pathlib import Path

from libs.embedded.stores.jars import cache_directory, fetch_jars, locked_jars
from libs.embedded.stores.kafka_fetch import ARCHIVE_MAJOR_MIN, fetch_runtime


def test_an_archive_is_made_once_and_named_in_the_options(tmp_path: Path) -> None:
    (tmp_path / "jars").mkdir()
    for jar in fetch_jars(locked_jars(), cache_directory()):
        (tmp_path / "jars" / jar.name).symlink_to(jar)

    first = asyncio.run(fetch_runtime(cache=tmp_path))
    made = archives_in(tmp_path)
    second = asyncio.run(fetch_runtime(cache=tmp_path))

    assert first == second
    assert archives_in(tmp_path) == made
    if first.java.major >= ARCHIVE_MAJOR_MIN:
        (archive,) = made
        assert archive.stat().st_size > 1_000_000
        assert f"-XX:AOTCache={archive}" in first.options_text()


def archives_in(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("kafka-*.aot")}
