"""Where notifications arrive in tests: a real mail server and a real web server, which can be slow, dead or rude."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class MailServer:
    """Keeps every mail as subject and text."""

    port: int = 0
    received: list[tuple[str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=trader@example.org&to=someone@example.org&mode=insecure"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        mail = message_from_bytes(content, policy=policy.default)
        body = mail.get_body(("plain", "html"))
        self.received.append((str(mail["Subject"]), body.get_content() if body is not None else ""))
        return "250 Message accepted for delivery"


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    server = MailServer()
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def begin() -> SMTP:
        sessions.append(SMTP(server, loop=loop, hostname="localhost"))
        return sessions[-1]

    listening = await loop.create_server(begin, host="127.0.0.1", port=0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for session in sessions:
            if session.transport is not None:
                session.transport.close()
        await listening.wait_closed()
        await asyncio.sleep(0)  # the transports close in the loop's next turn


@dataclass
class WebServer:
    """Keeps every JSON body that was posted to /hook; /dead never answers, /rude refuses."""

    port: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)

    def address(self, place: str = "hook") -> str:
        return f"json://127.0.0.1:{self.port}/{place}"

    async def hook(self, request: web.Request) -> web.Response:
        self.received.append(await request.json())
        return web.Response()

    async def dead(self, _: web.Request) -> web.Response:
        await asyncio.sleep(3_600)
        return web.Response()

    async def rude(self, request: web.Request) -> web.Response:
        return web.Response(status=403, text=f"you may not use {request.path}")


@asynccontextmanager
async def web_server() -> AsyncIterator[WebServer]:
    server = WebServer()
    application = web.Application()
    application.router.add_post("/hook", server.hook)
    application.router.add_post("/dead", server.dead)
    application.router.add_post("/rude/{token}", server.rude)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = int(runner.addresses[0][1])
    try:
        yield server
    finally:
        await runner.cleanup()
