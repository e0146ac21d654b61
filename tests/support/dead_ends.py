"""Servers that fail in the ways of the network: silent while they look alive, cut off, or nobody there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK_BYTES = 65_536


class Relay:
    """A proxy in front of a server, which can be silenced and cut.

    While it is silent its connections stay open and new ones are accepted, as a frozen process's are.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    def silence(self) -> None:
        """Pass nothing on any more, in either direction."""
        self._speaks.clear()

    def speak(self) -> None:
        """Pass on what is waiting and what comes."""
        self._speaks.set()

    async def cut(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        task = asyncio.ensure_future(self._join(reader, writer))
        self._connections.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        writer.transport.abort()
        self._connections.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass(reader, server_writer))
                tasks.create_task(self._pass(server_reader, writer))
        except* OSError:
            pass
        finally:
            for each in (writer, server_writer):
                each.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(CHUNK_BYTES):
            await self._speaks.wait()
            sink.write(chunk)
            await sink.drain()
        raise ConnectionResetError


@asynccontextmanager
async def relay_to(host: str, port: int) -> AsyncIterator[Relay]:
    """Lend a proxy in front of a server."""
    relay = Relay(host, port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.cut()


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Lend the port of a server that accepts connections and never says anything."""

    writers: list[asyncio.StreamWriter] = []

    def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
