"""Frames on their way to one WebSocket client.

Invariant: a client that does not read is cut off; it never holds up the exchange or another client.
"""

import asyncio
from collections import deque

from aiohttp import WSCloseCode
from aiohttp.web import WebSocketResponse

FRAMES_MAX = 20_000
SEND_TIMEOUT_S = 10.0


class Outbox:
    """A bounded queue of frames and the task that sends them."""

    def __init__(self, socket: WebSocketResponse) -> None:
        self._socket = socket
        self._frames: deque[str] = deque()
        self._wake = asyncio.Event()
        self._overrun = False
        self.is_muted = False

    def put(self, frame: str) -> None:
        """Queue a frame, or lose it if a fault wants nothing to be heard."""
        if self.is_muted:
            return
        if len(self._frames) >= FRAMES_MAX:
            self._overrun = True
        else:
            self._frames.append(frame)
        self._wake.set()

    async def run(self) -> None:
        """Send frames until the client is gone or too slow."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    while self._frames and not self._overrun:
                        await self._socket.send_str(self._frames.popleft())
            except (ConnectionError, TimeoutError):
                self._overrun = True
            if self._overrun:
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too slow", drain=False)
                return
