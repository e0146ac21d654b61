"""The watchdog shows how much room the disk has."""

from pathlib import Path

from services.watchdog.disk import look_at_disk
from tests.support.shown import shown


async def test_what_is_left_of_the_disk_is_shown_and_stays_when_it_cannot_be_read(tmp_path: Path):
    await look_at_disk(tmp_path)
    free, size = shown("trader_disk_free_bytes"), shown("trader_disk_size_bytes")

    await look_at_disk(tmp_path / "gone")

    assert free is not None
    assert size is not None
    assert 0 < free <= size
    assert shown("trader_disk_size_bytes") == size
