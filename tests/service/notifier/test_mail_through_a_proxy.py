"""Mail leaves a deployment through its forward proxy, and says why when that does not let it pass."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libs.common.contracts.vocabulary import Severity
from services.notifier.adapters.outside import load_channels
from services.notifier.service.ports import Delivery, Notification
from tests.support.raw_records import AT
from tests.support.receivers import mail_server

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise looks whether there is one
MAIL = "mailto://mail.example.org:587?from=trader@example.org&to=someone@example.org&mode=insecure"


class Proxy:
    """A forward proxy to one mail server; what it is asked for, it answers as it is told.

    Its answer and the server's greeting leave in one piece.
    """

    def __init__(self, answer: bytes, mail_port: int) -> None:
        self.asked: list[bytes] = []
        self._answer = answer
        self._mail_port = mail_port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        if b" 200 " not in self._answer:
            writer.write(self._answer)
            writer.close()
            return
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._mail_port)
        writer.write(self._answer + await from_server.readline())
        await asyncio.gather(self._pass(reader, to_server), self._pass(from_server, writer))

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(65_536):
            writer.write(content)
        writer.close()


@asynccontextmanager
async def a_proxy(monkeypatch: pytest.MonkeyPatch, answer: bytes, mail_port: int = 0) -> AsyncIterator[Proxy]:
    proxy = Proxy(answer, mail_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield proxy
    finally:
        server.close()
        await server.wait_closed()


async def delivery_to(address: str, tmp_path: Path) -> Delivery:
    path = tmp_path / "notification-channels"
    path.write_text(json.dumps({"email": address}))
    channels, _ = load_channels(path)
    return await channels["email"].deliver(
        Notification(
            event_id=uuid.uuid4(),
            channel="email",
            alert_type="EMERGENCY_STOP",
            severity=Severity.CRITICAL,
            component="risk_manager",
            title="Emergency stop",
            body="id 3f2a9c1d",
            occurred_at=AT,
            recorded_at=AT,
            attempts=1,
        )
    )


async def test_a_mail_goes_through_the_proxy_which_finds_its_server(tmp_path, monkeypatch):
    passes = b"HTTP/1.0 200 Established\r\nVia: it\r\n\r\n"
    async with mail_server() as server, a_proxy(monkeypatch, passes, server.port) as proxy:
        delivery = await delivery_to(MAIL, tmp_path)

    assert delivery.delivered, delivery.reason
    assert proxy.asked == [b"CONNECT mail.example.org:587 HTTP/1.1"]
    assert [subject for subject, _ in server.received] == ["Emergency stop"]


async def test_a_mail_server_of_this_machine_needs_no_proxy(tmp_path, monkeypatch):
    async with mail_server() as server, a_proxy(monkeypatch, b"") as proxy:
        delivery = await delivery_to(server.address, tmp_path)

    assert (delivery.delivered, proxy.asked) == (True, [])


@pytest.mark.parametrize("answer", [b"HTTP/1.0 403 Filtered\r\n\r\n", b"HTTP/1.0 20", b"?" * 10_000, b"\r\n\r\n"])
async def test_a_proxy_that_lets_nothing_pass_is_a_failed_attempt(tmp_path, monkeypatch, answer):
    async with a_proxy(monkeypatch, answer) as proxy:
        delivery = await delivery_to(MAIL, tmp_path)

    assert (delivery.delivered, len(proxy.asked)) == (False, 1)
    assert delivery.reason
