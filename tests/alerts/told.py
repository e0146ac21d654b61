"""Who is told: the user's channel and the switch outside, as web servers that note when each message came."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.alerts.programs import LOOPBACK

_FIRING: Final = re.compile(r"^(\w+): ")
_ENDED: Final = re.compile(r"\(until [^)]*\)")


@dataclass
class People:
    """Keeps when each alert was first told, since it was last forgotten.

    Attributes:
        told_at_s: By alert, in the loop's time.
        switch_is_broken: The switch outside refuses what it is sent.
        refused: Set when it has.
    """

    port: int = 0
    told_at_s: dict[str, float] = field(default_factory=dict)
    switch_is_broken: bool = False
    refused: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def phone(self) -> str:
        """The address of a channel, in apprise's form."""
        return f"json://{LOOPBACK}:{self.port}/phone"

    @property
    def dead_phone(self) -> str:
        """The address of a channel that refuses everything."""
        return f"json://{LOOPBACK}:{self.port}/refused"

    @property
    def switch(self) -> str:
        """The address of the switch outside."""
        return f"http://{LOOPBACK}:{self.port}/switch"

    def forget(self, alert: str) -> None:
        """Take the next message about an alert for its first one."""
        self.told_at_s.pop(alert, None)

    async def _phone(self, request: web.Request) -> web.Response:
        content: dict[str, Any] = await request.json()
        for line in str(content.get("message", "")).splitlines():
            match = _FIRING.match(line)
            if match and not _ENDED.search(line):
                self.told_at_s.setdefault(match[1], asyncio.get_running_loop().time())
        return web.Response()

    async def _switch(self, request: web.Request) -> web.Response:
        content: dict[str, Any] = await request.json()
        if self.switch_is_broken:
            self.refused.set()
            return web.Response(status=403)
        if any(alert["labels"]["alertname"] == "Watchdog" for alert in content["alerts"]):
            self.told_at_s.setdefault("Watchdog", asyncio.get_running_loop().time())
        return web.Response()


async def _refused(_: web.Request) -> web.Response:
    return web.Response(status=403)


@asynccontextmanager
async def people() -> AsyncIterator[People]:
    """Listen for as long as the context lasts."""
    listening = People()
    application = web.Application()
    application.router.add_post("/phone", listening._phone)
    application.router.add_post("/switch", listening._switch)
    application.router.add_post("/refused", _refused)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    listening.port = int(runner.addresses[0][1])
    try:
        yield listening
    finally:
        await runner.cleanup()
