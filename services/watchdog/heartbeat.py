"""An alert that always fires: told to somebody outside, who notices when it stops.

Invariant: it says that the watchdog polls, not only that its process is there.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
import structlog

from libs.common.clock import Clock

HEARTBEAT_S_MAX: Final = 5.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=HEARTBEAT_S_MAX, ceil_threshold=2 * HEARTBEAT_S_MAX)
"""aiohttp rounds what reaches its threshold up to whole seconds."""

_log = structlog.get_logger(__name__)


class OutsideHeartbeat:
    """Posts to a dead man's switch outside of this machine.

    Args:
        session: What is called with.
        url: The switch, such as a check at healthchecks.io or a Prometheus push address of one's own.
        is_polling: Whether the watchdog has polled lately.
        describe: Says what the watchdog thinks of those it watches.
        clock: The moment of the beat.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        is_polling: Callable[[], Awaitable[bool]],
        describe: Callable[[], dict[str, str]],
        clock: Clock,
    ) -> None:
        self._session = session
        self._url = url
        self._is_polling = is_polling
        self._describe = describe
        self._clock = clock

    async def beat(self) -> None:
        """Beat once, if the watchdog does its work; a switch that does not answer is told of in the log."""
        if not await self._is_polling():
            _log.error("The watchdog does not poll: its outside heartbeat stops")
            return
        content = {"component": "watchdog", "at": self._clock.now().isoformat(), "targets": self._describe()}
        try:
            async with self._session.post(self._url, json=content, timeout=_TIMEOUT) as response:
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Not the address: whoever knows it can keep the switch quiet.
            _log.warning("The outside heartbeat was not taken", error=type(error).__name__)
