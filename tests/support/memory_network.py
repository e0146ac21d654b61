"""aiohttp's client and aiohttp's server, connected in memory: all of HTTP is real, only the sockets are not."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.tracing import Trace

ADDRESS = ("127.0.0.1", 1)


class MemoryTransport(asyncio.Transport):
    """One end of a connection: what is written arrives at the other end's protocol at the loop's next turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, own: asyncio.Protocol) -> None:
        super().__init__({"peername": ADDRESS, "sockname": ADDRESS})
        self._loop = loop
        self._own = own
        self._closing = False
        self.other: MemoryTransport | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing and self.other is not None:
            self._loop.call_soon(self.other.arrive, bytes(data))

    def arrive(self, data: bytes) -> None:
        if not self._closing:
            self._own.data_received(data)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._loop.call_soon(self._own.connection_lost, None)
        if self.other is not None:
            self._loop.call_soon(self.other.hear_of_end)

    def abort(self) -> None:
        self.close()

    def hear_of_end(self) -> None:
        if not self._closing:
            self._own.eof_received()
            self.close()

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Bodies here are small."""

    def resume_reading(self) -> None:
        """Bodies here are small."""


class MemoryConnector(aiohttp.BaseConnector):
    """Connects to a server in the same loop, wherever a request wants to go.

    Args:
        server: Makes the server's protocol of a new connection, as `web.AppRunner.server` does.
    """

    def __init__(self, server: Callable[[], asyncio.Protocol]) -> None:
        super().__init__()
        self._server = server
        self.connections = 0

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> ResponseHandler:
        del req, traces, timeout
        client: Any = self._factory()
        server = self._server()
        ours, theirs = MemoryTransport(self._loop, client), MemoryTransport(self._loop, server)
        ours.other, theirs.other = theirs, ours
        client.connection_made(ours)
        server.connection_made(theirs)
        self.connections += 1
        return client  # type: ignore[no-any-return]  # what aiohttp's own factory makes
