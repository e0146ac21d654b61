import asyncio

from libs.common.clock import SystemClock
from libs.common.control.halting import issue_halt


async def test_a_halt_goes_over_every_path_and_one_that_fails_or_hangs_stops_no_other() -> None:
    written: list[str] = []
    never = asyncio.Event()

    async def write_file() -> None:
        written.append("file")

    async def fail() -> None:
        raise ConnectionRefusedError("Redis is down")

    async def hang() -> None:
        await never.wait()

    receipt = await issue_halt({"kafka": hang, "redis": fail, "file": write_file}, clock=SystemClock(), deadline_s=0.02)
    never.set()

    assert written == ["file"]
    assert receipt.paths == ("file",)
    assert receipt.failed["redis"] == "Redis is down"
    assert "halt over kafka" in receipt.failed["kafka"]
    assert receipt.written_ms["file"] < 20
