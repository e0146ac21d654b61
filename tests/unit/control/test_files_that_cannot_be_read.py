"""Files beside the system: gone since they were listed, or no file at all."""

from pathlib import Path

import pytest

from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.operators import Operators
from libs.common.errors import ConfigurationError


async def test_a_halt_that_was_removed_while_the_directory_was_read_is_none(tmp_path: Path):
    (tmp_path / "HALT.gone").symlink_to(tmp_path / "removed")

    assert await FileHaltLatch(tmp_path).read() == []


def test_operators_that_cannot_be_read_are_a_mistake_and_not_nobody(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=str(tmp_path)):
        Operators.load(tmp_path)
