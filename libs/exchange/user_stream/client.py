"""The user stream over Binance's WebSocket API, kept up for ever.

Invariant: whoever reads the events is told of every moment from which they are gapless (`StreamConnected`); before it
anything may have been missed. Silence is not trusted: the connection must answer a ping every few seconds, and the
subscription its first question. Binance ends a connection after 24 hours; it is left before, at a moment of our own.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

import aiohttp
import structlog

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import RetryableError
from libs.exchange.backoff import Backoff
from libs.exchange.credentials import Credentials
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.replies import Reply
from libs.exchange.user_stream.events import TERMINATED, StreamConnected, UserEvent, parse_event

CONNECT_DEADLINE_S: Final = 5.0
PING_INTERVAL_S: Final = 2.0
SILENCE_S_MAX: Final = 5.0
CLOSE_DEADLINE_S: Final = 1.0
SUBSCRIBE_DEADLINE_S: Final = 5.0
LIFETIME_S: Final = 23 * 3_600.0
BACKOFF_S: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
FRAME_BYTES_MAX: Final = 1_048_576
EVENTS_MAX: Final = 1_000
RECV_WINDOW_MS: Final = 5_000

CONNECT_WEIGHT: Final = 4
"""Two for the connection and two for the subscription (WebSocket API, "Limits")."""

CALM_S: Final = 10.0
"""A connection that delivered this long was a good one: the next wait is the first again."""

BLOCKED_S_MAX: Final = 60.0
"""After so long a wait for the budget it is looked at again."""

REFUSED_S: Final = 60.0
REFUSED_S_MAX: Final = 300.0
"""How long a refused handshake holds the stream back: connections are counted over five minutes."""

_SUBSCRIBE: Final = "subscribe"
_OK: Final = 200
_BANNED: Final = 418
_REFUSED: Final = frozenset({403, 429})
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
        randomness: Random,
        budget: AddressBudget,
    ) -> None:
        """Take where to connect and as whom.

        Args:
            url: The WebSocket API.
            credentials: Key of the account.
            symbols: `{exchange's spelling: ours}`.
            clock: For the signature's timestamp and for silence.
            clock_offset_ms: Returns the exchange's clock minus ours, as far as known.
            randomness: Spreads the attempts to connect.
            budget: The address's, which connecting takes from and a ban forbids.
        """
        self._url = url
        self._credentials = credentials
        self._symbols = symbols
        self._clock = clock
        self._clock_offset_ms = clock_offset_ms
        self._events: asyncio.Queue[UserEvent] = asyncio.Queue(EVENTS_MAX)
        self._heard_at_s = clock.monotonic_s()
        self._connected = False
        self._connected_at_s = self._heard_at_s
        self._backoff = Backoff(BACKOFF_S, randomness=randomness)
        self._randomness = randomness
        self._budget = budget

    @property
    def is_connected(self) -> bool:
        """Whether events are being delivered."""
        return self._connected

    async def next_event(self) -> UserEvent:
        """Wait for the next event."""
        return await self._events.get()

    async def run(self) -> None:
        """Connect, deliver, and connect again, for ever."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_DEADLINE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                held_s = 0.0
                try:
                    with self._budget.spending(Purpose.REDUCTION, weight=CONNECT_WEIGHT):
                        socket = await self._open(session)
                    await self._listen(socket)
                except aiohttp.WSServerHandshakeError as error:
                    held_s = self._refused(Reply.of(status=error.status, headers=dict(error.headers or {}), text=""))
                    _LOG.warning("The user stream was refused", status=error.status)
                except (aiohttp.ClientError, OSError, TimeoutError, RetryableError) as error:
                    _LOG.warning("The user stream was lost", reason=str(error) or type(error).__name__)
                blocked_s = self._budget.wait_s(Purpose.REDUCTION, weight=CONNECT_WEIGHT)
                await asyncio.sleep(max(self._backoff.next_s(), min(blocked_s, BLOCKED_S_MAX), held_s))

    def _refused(self, reply: Reply) -> float:
        """Return how long a refused handshake holds the stream back; cancels and exits wait only for a ban."""
        if reply.status == _BANNED:
            self._budget.observe(reply)
        if reply.status not in _REFUSED:
            return 0.0
        return min(REFUSED_S if reply.retry_after_s is None else reply.retry_after_s, REFUSED_S_MAX)

    async def _open(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        async with asyncio.timeout(CONNECT_DEADLINE_S):
            return await session.ws_connect(
                self._url, max_msg_size=FRAME_BYTES_MAX, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_DEADLINE_S)
            )

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._heard_at_s = self._clock.monotonic_s()
        tasks: list[asyncio.Task[None]] = []
        try:
            await socket.send_str(self._subscription())
            # No task group: cancelled as its child fails, one tells of the child alone (before Python 3.13, see
            # python/cpython#116720), and whoever is to end would connect again.
            tasks = [asyncio.create_task(work(socket)) for work in (self._keep_alive, self._deliver)]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._end()
            for task in tasks:
                task.cancel()
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                await socket.close()

    def _end(self) -> None:
        """Say so before the closing handshake, which a frozen exchange delays."""
        if self._connected and self._clock.monotonic_s() - self._connected_at_s >= CALM_S:
            self._backoff.reset()
        self._connected = False

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
            if message.get("status") != _OK:
                self._budget.observe(_refusal(message))
                raise StreamLostError(f"subscription refused: {message.get('error')}")
            self._connected = True
            self._connected_at_s = self._clock.monotonic_s()
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
        opened_at_s = self._clock.monotonic_s()
        lifetime_s = LIFETIME_S * self._randomness.uniform(0.95, 1.0)
        while True:
            await asyncio.sleep(max(0.0, min(PING_INTERVAL_S, self._patience_s(opened_at_s))))
            now_s = self._clock.monotonic_s()
            if now_s >= self._heard_at_s + SILENCE_S_MAX:  # the sum that was slept until: a difference rounds otherwise
                raise StreamLostError(f"silent for {SILENCE_S_MAX:g} s")
            if not self._connected and now_s >= opened_at_s + SUBSCRIBE_DEADLINE_S:
                raise StreamLostError(f"subscription not acknowledged within {SUBSCRIBE_DEADLINE_S:g} s")
            if now_s - opened_at_s > lifetime_s:
                raise StreamLostError("left before the exchange ends it, which it does after 24 hours")
            sequence += 1
            await socket.send_str(json.dumps({"id": f"ping-{sequence}", "method": "ping"}))

    def _patience_s(self, opened_at_s: float) -> float:
        """Return how long it may still stay silent, or unsubscribed."""
        ends_at_s = self._heard_at_s + SILENCE_S_MAX
        if not self._connected:
            ends_at_s = min(ends_at_s, opened_at_s + SUBSCRIBE_DEADLINE_S)
        return ends_at_s - self._clock.monotonic_s()

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


def _refusal(message: Mapping[str, Any]) -> Reply:
    """Return a refused subscription as a REST answer, whose rules about waiting it follows."""
    status, error = message.get("status"), message.get("error")
    details = error.get("data") if isinstance(error, Mapping) else None
    headers = {}
    if isinstance(details, Mapping):
        server_ms, retry_at_ms = details.get("serverTime"), details.get("retryAfter")
        if isinstance(server_ms, int) and isinstance(retry_at_ms, int):
            headers = {"retry-after": str(max(0, (retry_at_ms - server_ms + 999) // 1_000))}
    return Reply(
        status=status if isinstance(status, int) else 0,
        headers=headers,
        body=dict(error) if isinstance(error, Mapping) else None,
    )
