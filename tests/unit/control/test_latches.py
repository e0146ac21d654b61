import asyncio
import os
import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.control.commands import issue_command
from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.halts import HaltRecord, LatchView
from libs.common.control.latch_reader import LatchReader
from libs.common.control.operators import OperatorKey
from libs.common.errors import RetryableError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_halt(halt_id: str = "halt-1", **changes: Any) -> HaltRecord:
    return HaltRecord(**{"halt_id": halt_id, "account": "main", "halted_at": NOW, **changes})


class FakeLatch:
    """A latch that answers when told to."""

    def __init__(self, *records: HaltRecord, error: Exception | None = None) -> None:
        self.records = list(records)
        self.error = error
        self.answers = asyncio.Event()
        self.answers.set()
        self.calls = 0

    async def add(self, record: HaltRecord) -> None:
        self.records.append(record)

    async def read(self) -> Sequence[HaltRecord]:
        self.calls += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return list(self.records)

    async def remove(self, halt_ids: Collection[str]) -> None:
        self.records = [record for record in self.records if record.halt_id not in halt_ids]


async def test_a_halt_written_to_the_directory_is_read_back_whole(tmp_path: Path) -> None:
    key = OperatorKey.generate()
    command = issue_command(
        "HALT", account="main", reason="drill", issuer="alice", key=key, command_id=uuid.UUID(int=1), now=NOW
    )

    await FileHaltLatch(tmp_path).add(HaltRecord.of(command))

    assert await FileHaltLatch(tmp_path).read() == [HaltRecord.of(command)]


async def test_adding_a_halt_twice_keeps_one(tmp_path: Path) -> None:
    latch = FileHaltLatch(tmp_path)

    await latch.add(a_halt())
    await latch.add(a_halt())

    assert await latch.read() == [a_halt()]


async def test_only_settled_halts_are_removed(tmp_path: Path) -> None:
    latch = FileHaltLatch(tmp_path)
    await latch.add(a_halt("one"))
    await latch.add(a_halt("two"))

    await latch.remove(["one", "unknown"])

    assert await latch.read() == [a_halt("two")]


@pytest.mark.parametrize(
    ("name", "content"), [("HALT", b""), ("HALT", b"stop!"), ("HALT.txt", b"{}"), ("HALT.x", b"\xff")]
)
async def test_a_file_made_by_hand_halts_everything_until_it_is_removed(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    latch = FileHaltLatch(tmp_path)

    (record,) = await latch.read()
    assert record.stops("main", symbol="BTC/USDT", strategy="any")
    await latch.remove([record.halt_id])

    assert await latch.read() == []


@pytest.mark.parametrize("made_at_s", [-10_000_000_000, 10_000_000_000])
async def test_a_file_of_another_age_halts_all_the_same(tmp_path: Path, made_at_s: int) -> None:
    (tmp_path / "HALT").touch()
    os.utime(tmp_path / "HALT", (made_at_s, made_at_s))

    (record,) = await FileHaltLatch(tmp_path).read()

    assert record.stops("main")


async def test_a_halt_with_names_that_no_event_takes_is_one_made_by_hand(tmp_path: Path) -> None:
    written = a_halt("one", issuer="somebody").to_bytes().replace(b"somebody", b"x" * 1_000)
    (tmp_path / "HALT.one").write_bytes(written)

    (record,) = await FileHaltLatch(tmp_path).read()

    assert record.halt_id.startswith("file-")
    assert record.stops("main")


async def test_a_file_made_by_hand_again_is_a_new_halt(tmp_path: Path) -> None:
    latch = FileHaltLatch(tmp_path)
    (tmp_path / "HALT").touch()
    (first,) = await latch.read()
    os.utime(tmp_path / "HALT", ns=(0, 1))

    (second,) = await latch.read()

    assert first.halt_id != second.halt_id


async def test_a_copied_halt_file_under_another_name_is_a_halt_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "HALT.copy").write_bytes(a_halt("original").to_bytes())

    (record,) = await FileHaltLatch(tmp_path).read()

    assert record.halt_id.startswith("file-")


async def test_a_full_disk_still_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        if not Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    await FileHaltLatch(tmp_path).add(a_halt())

    (record,) = await FileHaltLatch(tmp_path).read()
    assert record.stops("main")


async def test_the_reader_unites_both_latches() -> None:
    reader = LatchReader(redis=FakeLatch(a_halt("one"), a_halt("both")), file=FakeLatch(a_halt("both"), a_halt("two")))

    view = await reader.read()

    assert {record.halt_id for record in view.records} == {"one", "both", "two"}
    assert view.stops("main")


async def test_an_unreadable_directory_counts_as_latched() -> None:
    view = await LatchReader(redis=FakeLatch(), file=FakeLatch(error=FileNotFoundError())).read()

    assert not view.file_readable
    assert view.stops("main")


async def test_an_unreachable_redis_is_reported_but_is_not_a_halt() -> None:
    view = await LatchReader(redis=FakeLatch(error=RetryableError("away")), file=FakeLatch()).read()

    assert not view.redis_readable
    assert not view.stops("main")


async def test_a_frozen_latch_does_not_hide_the_other_and_is_asked_only_once() -> None:
    frozen = FakeLatch(a_halt("late"))
    frozen.answers.clear()
    reader = LatchReader(redis=frozen, file=FakeLatch(a_halt("seen")), deadline_s=0.01)

    first = await reader.read()
    second = await reader.read()
    frozen.answers.set()
    third = await reader.read()

    assert [record.halt_id for record in first.records] == ["seen"]
    assert not second.redis_readable
    assert {record.halt_id for record in third.records} == {"late", "seen"}
    assert frozen.calls == 1


@pytest.mark.parametrize(
    ("record", "stopped"),
    [
        (a_halt(), True),
        (a_halt(account=None), True),
        (a_halt(account="other"), False),
        (a_halt(scope_symbol="BTC/USDT"), True),
        (a_halt(scope_symbol="ETH/USDT"), False),
        (a_halt(scope_strategy="ema_cross"), True),
        (a_halt(scope_strategy="other"), False),
        (a_halt(scope_symbol="BTC/USDT", scope_strategy="other"), False),
    ],
)
def test_a_halt_stops_exactly_its_scope(record: HaltRecord, *, stopped: bool) -> None:
    assert LatchView(records=(record,)).stops("main", symbol="BTC/USDT", strategy="ema_cross") is stopped
