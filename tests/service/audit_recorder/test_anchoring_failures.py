from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from libs.common.audit.anchors import AnchorLog, load_or_create_key
from libs.common.errors import RetryableError
from services.audit_recorder.service import Anchoring
from tests.support.clock import FakeClock


class FailingHeads:
    """Chains whose ends cannot be read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def read(self) -> Sequence[Any]:
        raise self.error


@pytest.mark.parametrize("error", [RetryableError("away"), OSError("no space left on device")])
async def test_chains_that_cannot_be_anchored_now_are_anchored_the_next_time(error: Exception, tmp_path: Path):
    log = AnchorLog(tmp_path / "anchors", load_or_create_key(tmp_path / "key"))

    await Anchoring(heads=FailingHeads(error), log=log, clock=FakeClock()).write()

    assert not (tmp_path / "anchors").exists()
