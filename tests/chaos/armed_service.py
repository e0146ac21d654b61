"""Run a service that dies exactly at a step of the order protocol: `armed_service.py MODULE`.

`CRASH_POINT_FILE` names the file that says at which step; while there is none, everything is as always. The service
knows nothing of it: what is wrapped are the clients of the exchange, the broker and the database, and the clock.
"""

import asyncio
import json
import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import aiohttp
import asyncpg

from libs.common.clock import SystemClock
from libs.common.messaging import sealing
from libs.common.messaging.kafka import Producer
from libs.common.messaging.outbox import OutboxRelay

VARIABLE: Final = "CRASH_POINT_FILE"
UNDER_WAY_S: Final = 0.002
"""So long a request that was written is on its way before its sender dies."""

Step = Callable[..., Awaitable[Any]]


class CrashPoint:
    """What the file says, looked up at every step."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._said = ""
        self._passed = 0
        self.written = ""  # the topics of what the last transaction told

    def said(self) -> dict[str, Any]:
        """Return what is to happen, nothing while there is no file."""
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        if text != self._said:
            self._said, self._passed = text, 0
        found: dict[str, Any] = json.loads(text)
        return found

    def is_for(self, step: str) -> bool:
        """Return whether this process is to die at a step, sooner or later."""
        wanted = self.said().get("step")
        return wanted is not None and wanted in step

    def reach(self, *steps: str) -> None:
        """Die here, at what is one of these steps, if it is said so."""
        if not any(map(self.is_for, steps)):
            return
        self._passed += 1
        if self._passed < self.said()["nth"]:
            return
        self._file.rename(self._file.with_suffix(".struck"))  # or the next process would die too
        os.kill(os.getpid(), signal.SIGKILL)


def armed(point: CrashPoint) -> dict[str, Any]:
    """Return what takes the places of the steps, by place."""
    send_request, read_reply = aiohttp.ClientRequest.send, aiohttp.ClientResponse.read
    seal, committed, publish, now = sealing.seal, OutboxRelay.committed, Producer.send, SystemClock.now

    async def sent(request: Any, connection: Any) -> Any:
        what = f"{request.method} {request.url.path.rpartition('/')[2]}"
        point.reach(f"sending {what}")
        response = await send_request(request, connection)
        if point.is_for(f"sent {what}"):
            await asyncio.sleep(UNDER_WAY_S)
            point.reach(f"sent {what}")
        return response

    async def answered(response: Any) -> bytes:
        content = await read_reply(response)
        point.reach(f"answered {response.method} {response.url.path.rpartition('/')[2]}")
        return content

    async def sealed(transaction: Any, *, positions: Any, **facts: Any) -> Any:
        point.written = " ".join(topic.value for topic, _ in positions)
        point.reach(f"before commit {point.written}")
        if point.said().get("is_full"):
            raise asyncpg.DiskFullError("a test says that nothing can be written")
        return await seal(transaction, positions=positions, **facts)

    def told(relay: OutboxRelay, rows: Sequence[Any]) -> None:
        point.reach(f"committed {point.written}")
        committed(relay, rows)

    async def published(producer: Producer, records: Sequence[Any]) -> None:
        topics = tuple(dict.fromkeys(record.topic.value for record, _ in records))
        point.reach(*(f"publishing {topic}" for topic in topics))
        await publish(producer, records)
        point.reach(*(f"published {topic}" for topic in topics))

    def shifted(clock: SystemClock) -> datetime:
        return now(clock) + timedelta(seconds=point.said().get("ahead_s", 0.0))

    return {
        "aiohttp.ClientRequest.send": sent,
        "aiohttp.ClientResponse.read": answered,
        "libs.common.messaging.owner.seal": sealed,
        "libs.common.messaging.outbox.OutboxRelay.committed": told,
        "libs.common.messaging.kafka.Producer.send": published,
        "libs.common.clock.SystemClock.now": shifted,
    }


def main() -> None:
    """Run the service that the command names."""
    for place, stand_in in armed(CrashPoint(Path(os.environ[VARIABLE]))).items():
        patch(place, stand_in).start()
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
