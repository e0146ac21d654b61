"""The user stream over Binance's WebSocket API, kept up for ever.

Invariant: whoever reads the events is told of every moment from which they are gapless (`StreamConnected`); before it
anything may have been missed. Silence is not trusted: the connection must answer a ping every few seconds.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
import structlog

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import RetryableError
from libs.exchange.credentials import Credentials
from libs.exchange.user_stream.events import TERMINATED, StreamConnected, UserEvent, parse_event

CONNECT_DEADLINE_S: Final = 5.0
PING_INTERVAL_S: Final = 2.0
SILENCE_S_MAX: Final = 5.0
CLOSE_DEADLINE_S: Final = 1.0
BACKOFF_S: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
FRAME_BYTES_MAX: Final = 1_048_576
EVENTS_MAX: Final = 1_000
RECV_WINDOW_MS: Final = 5_000

_SUBSCRIBE: Final = "subscribe"
_LOG: Final = structlog.get_logger()


class StreamLostError(RetryableError):
    """The connection cannot be used any more."""


class UserStream:
    """One account's user stream."""

    def __init__(
        self,
        *,
        url: str,
        credentials: Credentials,
        symbols: Mapping[str, str],
        clock: Clock,
        clock_offset_ms: Callable[[], int],
    ) -> None:
        """Take where to connect and as whom.

        Args:
            url: The WebSocket API.
            credentials: Key of the account.
            symbols: `{exchange's spelling: ours}`.
            clock: For the signature's timestamp and for silence.
            clock_offset_ms: Returns the exchange's clock minus ours, as far as known.
        """
        self._url = url
        self._credentials = credentials
        self._symbols = symbols
        self._clock = clock
        self._clock_offset_ms = clock_offset_ms
        self._events: asyncio.Queue[UserEvent] = asyncio.Queue(EVENTS_MAX)
        self._heard_at_s = clock.monotonic_s()
        self._connected = False

    @property
    def is_connected(self) -> bool:
        """Whether events are being delivered."""
        return self._connected

    async def next_event(self) -> UserEvent:
        """Wait for the next event."""
        return await self._events.get()

    async def run(self) -> None:
        """Connect, deliver, and connect again, for ever."""
        attempt = 0
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_DEADLINE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    await self._connection(session)
                except (aiohttp.ClientError, OSError, TimeoutError, RetryableError) as error:
                    _LOG.warning("The user stream was lost", reason=str(error) or type(error).__name__)
                attempt = 0 if self._connected else attempt + 1
                self._connected = False
                await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])

    async def _connection(self, session: aiohttp.ClientSession) -> None:
        async with asyncio.timeout(CONNECT_DEADLINE_S):
            socket = await session.ws_connect(
                self._url, max_msg_size=FRAME_BYTES_MAX, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_DEADLINE_S)
            )
        self._heard_at_s = self._clock.monotonic_s()
        try:
            await socket.send_str(self._subscription())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_alive(socket))
                tasks.create_task(self._deliver(socket))
        except* (aiohttp.ClientError, OSError, RetryableError) as group:
            raise StreamLostError(str(group.exceptions[0])) from group
        finally:
            await socket.close()

    async def _deliver(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            self._heard_at_s = self._clock.monotonic_s()
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                message = json.loads(frame.data)
            except ValueError as error:
                raise StreamLostError("expected JSON frames") from error
            if not isinstance(message, dict):
                raise StreamLostError("expected objects")
            self._take(message)
        raise StreamLostError(f"closed by the exchange with {socket.close_code}")

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("id") == _SUBSCRIBE:
            if message.get("status") != 200:  # noqa: PLR2004 - HTTP's OK
                raise StreamLostError(f"subscription refused: {message.get('error')}")
            self._connected = True
            self._put(StreamConnected())
            return
        event = message.get("event")
        if not isinstance(event, dict):
            return  # the answer to a ping
        if event.get("e") in TERMINATED:
            raise StreamLostError(f"the exchange ended the stream: {event['e']}")
        parsed = parse_event(event, self._symbols)
        if parsed is not None:
            self._put(parsed)

    def _put(self, event: UserEvent) -> None:
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull as error:
            raise StreamLostError(f"{EVENTS_MAX} events wait to be handled; they are read over REST instead") from error

    async def _keep_alive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        sequence = 0
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            if self._clock.monotonic_s() - self._heard_at_s > SILENCE_S_MAX:
                raise StreamLostError(f"silent for more than {SILENCE_S_MAX:g} s")
            sequence += 1
            await socket.send_str(json.dumps({"id": f"ping-{sequence}", "method": "ping"}))

    def _subscription(self) -> str:
        parameters = {
            "apiKey": self._credentials.api_key,
            "recvWindow": RECV_WINDOW_MS,
            "timestamp": epoch_ms(self._clock.now()) + self._clock_offset_ms(),
        }
        payload = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
        return json.dumps(
            {
                "id": _SUBSCRIBE,
                "method": "userDataStream.subscribe.signature",
                "params": {**parameters, "signature": self._credentials.sign(payload)},
            }
        )
