"""Peers that freeze in the ways of the freeze matrix: never connected, mute from the first, stopped in an answer."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final

import psutil

from tests.support.dead_ends import CHUNK_BYTES

ANSWER_S_MAX: Final = 20.0


@contextmanager
def mute() -> Iterator[int]:
    """Lend a port where connections are made and nobody is there to take them, as in front of a frozen process."""
    with _listener(queue=64) as listener:
        yield listener.getsockname()[1]


@contextmanager
def unconnectable() -> Iterator[int]:
    """Lend a port where a connection is neither made nor refused: the queue of its listener is full."""
    with _listener(queue=0) as listener, ExitStack() as waiting:
        for _ in range(4):
            waiting.enter_context(closing(_connecting(listener.getsockname())))
        yield listener.getsockname()[1]


@contextmanager
def _listener(*, queue: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(queue)
        yield listener


def _connecting(address: tuple[str, int]) -> socket.socket:
    connecting = socket.socket()
    connecting.setblocking(False)
    connecting.connect_ex(address)
    return connecting


class StoppingRelay:
    """A process in front of servers, which gets SIGSTOP in the middle of an answer: for its client, the server has."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._watched = psutil.Process(process.pid)

    def in_front_of(self, port: int) -> int:
        """Return the port behind which the server of a port answers."""
        return int(self._ask(f"open {port}"))

    def stop_within_next_answer(self) -> None:
        """Let the next answer be its first half."""
        self._ask("half")

    def is_stopped(self) -> bool:
        """Return whether it has been stopped."""
        return self._watched.status() == psutil.STATUS_STOPPED

    def go_on(self) -> None:
        """End the connections that there were, and serve others."""
        os.kill(self._process.pid, signal.SIGCONT)
        self._ask("end")

    def _ask(self, what: str) -> str:
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        readable, _, _ = select.select([self._process.stdout], [], [], ANSWER_S_MAX)
        assert readable, what
        return self._process.stdout.readline().strip()


@contextmanager
def stopping_relay() -> Iterator[StoppingRelay]:
    """Lend a relay."""
    command = [sys.executable, "-m", "tests.support.frozen_peers"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        yield StoppingRelay(process)
    finally:
        process.kill()
        process.communicate()


class _Relay:
    def __init__(self) -> None:
        self._armed = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def obey(self) -> None:
        commands = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        while line := (await commands.readline()).decode():
            name, *arguments = line.split()
            answer = await getattr(self, f"do_{name}")(*arguments)
            os.write(1, f"{answer}\n".encode())

    async def do_open(self, port: str) -> int:
        server = await asyncio.start_server(lambda reader, writer: self._join(int(port), reader, writer), "127.0.0.1")
        return int(server.sockets[0].getsockname()[1])

    async def do_half(self) -> str:
        self._armed = True
        return "armed"

    async def do_end(self) -> str:
        for writer in self._writers:
            writer.transport.abort()
        return "ended"

    async def _join(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers |= {writer, server_writer}
        passing = [
            asyncio.create_task(self._pass(reader, server_writer, answers=False)),
            asyncio.create_task(self._pass(server_reader, writer, answers=True)),
        ]
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        writer.transport.abort()
        server_writer.transport.abort()
        await asyncio.gather(*passing, return_exceptions=True)
        self._writers -= {writer, server_writer}

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        while chunk := await source.read(CHUNK_BYTES):
            if answers and self._armed:
                self._armed = False
                sink.write(chunk[: len(chunk) // 2])
                os.kill(os.getpid(), signal.SIGSTOP)
                return
            sink.write(chunk)
            await sink.drain()


if __name__ == "__main__":
    asyncio.run(_Relay().obey())
