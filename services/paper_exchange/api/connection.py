"""What Binance grants every WebSocket client, and where it cuts one off.

Invariant: a connection that answers no ping, grows too old, or says too much at once is closed, whatever it is for.

The figures are those of Binance's documents ("General WSS information", "WebSocket Limits").
"""

import asyncio
import json
import socket as sockets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from services.paper_exchange.api.outbox import SEND_TIMEOUT_S, Outbox
from services.paper_exchange.api.time_unit import TimeUnit

FRAME_BYTES_MAX = 65_536
FAREWELL_S_MAX = 1.0
_PINGS_REMEMBERED_MAX = 16


@dataclass(frozen=True, slots=True)
class SocketRules:
    """The bounds of a connection.

    Attributes:
        ping_every_s: How often the client is asked whether it is there.
        pong_within_s: How long it may owe the answer.
        lifetime_s: How old a connection becomes.
        messages_a_second_max: Frames that it may send in a second, pings and pongs included; `None` where weights
            bound it.
    """

    ping_every_s: float = 20.0
    pong_within_s: float = 60.0
    lifetime_s: float = 86_400.0
    messages_a_second_max: int | None = 5


class Connection:
    """One client's socket.

    Args:
        socket: The socket, not prepared yet.
        rules: Its bounds.
        unit: What the client wants times in.
        farewell: Wraps the event that announces the end as this connection's events are wrapped.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        rules: SocketRules,
        unit: TimeUnit,
        farewell: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        self._socket = socket
        self._rules = rules
        self._farewell = farewell
        self._arrivals: deque[float] = deque(maxlen=rules.messages_a_second_max)
        self._pings: deque[bytes] = deque(maxlen=_PINGS_REMEMBERED_MAX)
        self._owes_pong_since_s: float | None = None
        self.unit = unit
        self.outbox = Outbox(socket)

    async def run(self, receive: Callable[[str], None], now_ms: Callable[[], int]) -> None:
        """Pass every text frame to `receive` until the connection ends; a binary frame counts as an empty text."""
        tasks = [asyncio.create_task(self.outbox.run()), asyncio.create_task(self._watch(now_ms))]
        try:
            async for message in self._socket:
                match message.type:
                    case WSMsgType.PING if not self.outbox.is_muted:
                        await self._socket.pong(message.data)
                    case WSMsgType.PONG if message.data in self._pings:
                        self._pings.clear()
                        self._owes_pong_since_s = None
                if self._is_flooding():
                    await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                elif message.type is WSMsgType.TEXT:
                    receive(message.data)
                elif message.type is WSMsgType.BINARY:
                    receive("")
        except ConnectionError:
            pass  # it went while its ping was being answered
        finally:
            for task in tasks:
                task.cancel()

    async def say_farewell(self, now_ms: int) -> None:
        """Announce the end and close; a client that does not listen is not waited for."""
        event = self.unit.of_event({"e": "serverShutdown", "E": now_ms})
        try:
            async with asyncio.timeout(FAREWELL_S_MAX):
                await self._socket.send_str(json.dumps(self._farewell(event), separators=(",", ":")))
                await self._socket.close(code=WSCloseCode.GOING_AWAY)
        except (ConnectionError, TimeoutError):
            pass  # it is gone, or will be when the process is

    async def close(self) -> None:
        """End the connection as a server does that goes away."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY)

    def cut(self) -> None:
        """End the connection without a word, as a network does."""
        network: sockets.socket | None = self._socket.get_extra_info("socket")
        with suppress(OSError):  # the client may have left before
            if network is not None:
                network.shutdown(sockets.SHUT_RDWR)

    def fall_silent(self, seconds: float) -> None:
        """Send nothing for so long; what would have been sent is lost."""
        if not self.outbox.is_muted:
            self.outbox.is_muted = True
            asyncio.get_running_loop().call_later(seconds, setattr, self.outbox, "is_muted", False)

    async def _watch(self, now_ms: Callable[[], int]) -> None:
        """Ping, and end the connection when it is silent or old."""
        rules, now_s = self._rules, asyncio.get_running_loop().time
        ends_at_s = now_s() + rules.lifetime_s
        number = 0
        while True:
            due_at_s = now_s() + rules.ping_every_s
            if self._owes_pong_since_s is not None:
                due_at_s = min(due_at_s, self._owes_pong_since_s + rules.pong_within_s)
            await asyncio.sleep(max(0.0, min(due_at_s, ends_at_s) - now_s()))
            if now_s() >= ends_at_s:
                await self.say_farewell(now_ms())
                return
            if self._owes_pong_since_s is not None and now_s() >= self._owes_pong_since_s + rules.pong_within_s:
                await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"Pong timeout", drain=False)
                return
            number += 1
            payload = str(number).encode()
            self._pings.append(payload)
            if self._owes_pong_since_s is None:
                self._owes_pong_since_s = now_s()
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._socket.ping(payload)
            except ConnectionError:
                return
            except TimeoutError:
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too slow", drain=False)
                return

    def _is_flooding(self) -> bool:
        most = self._rules.messages_a_second_max
        if most is None:
            return False
        now_s = asyncio.get_running_loop().time()
        flooding = len(self._arrivals) == most and now_s - self._arrivals[0] < 1.0
        self._arrivals.append(now_s)
        return flooding
