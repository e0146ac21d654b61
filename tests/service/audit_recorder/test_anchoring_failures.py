import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from libs.common.audit.anchors import AnchorLog, load_or_create_key
from libs.common.errors import RetryableError
from services.audit_recorder.__main__ import LAST_ANCHOR_S_MAX, _anchor_at_last, _keep
from services.audit_recorder.service import Anchoring
from tests.support.clock import FakeClock
from tests.support.virtual_time import run_in_virtual_time


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


async def test_months_that_cannot_be_kept_now_are_kept_the_next_time():
    asked: list[str] = []

    def away(*_: Any) -> Any:
        asked.append("the database")
        raise RetryableError("away")

    database: Any = SimpleNamespace(connection=away, transaction=away)

    await _keep(database)

    assert asked == ["the database"]


def test_a_last_anchor_that_does_not_come_holds_no_end_up():
    async def ending() -> float:
        async def anchor() -> None:
            await asyncio.Event().wait()

        await _anchor_at_last(anchor)
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(ending()) == LAST_ANCHOR_S_MAX
