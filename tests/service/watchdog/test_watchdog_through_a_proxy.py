"""The watchdog's own requests leave a deployment by its proxy, and those inside of it do not."""

import asyncio

import aiohttp
import pytest

from services.watchdog.__main__ import open_session


async def test_what_the_environment_names_a_proxy_for_goes_through_it(monkeypatch: pytest.MonkeyPatch):
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Filtered\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    async with server, open_session() as session:
        with pytest.raises(aiohttp.ClientHttpProxyError, match="403"):
            await session.post("https://hooks.example.com/alert", json={})
        async with session.get(f"http://127.0.0.1:{port}/healthz") as health:
            assert health.status == 403

    assert asked == [b"CONNECT hooks.example.com:443 HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\n"]
