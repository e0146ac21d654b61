"""How the watchdog makes itself heard: its own log and webhook first, Kafka as far as it works.

No way of telling can hold up another, or what the watchdog does.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp
import structlog

from libs.common.contracts.event import Event
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import Severity
from libs.common.errors import RetryableError

WEBHOOK_S_MAX: Final = 3.0
WEBHOOK_CALLS_MAX: Final = 20
"""Calls that may wait at once; with a dead webhook further alerts only go the other ways."""

_log = structlog.get_logger(__name__)


class Alarm:
    """Tells people."""

    def __init__(
        self, session: aiohttp.ClientSession, *, publish: Callable[[Event], None], webhook_url: str | None
    ) -> None:
        self._session = session
        self._publish = publish
        self._webhook_url = webhook_url
        self._calls: set[asyncio.Task[None]] = set()

    def tell(self, alert: AlertRaised) -> None:
        """Tell at once over the log, and without waiting over Kafka and the webhook."""
        write = _log.info if alert.severity is Severity.INFO else _log.error
        write(alert.message, alert_type=alert.alert_type.value, severity=alert.severity.value, subject=alert.subject)
        try:
            self._publish(alert)
        except RetryableError as error:
            _log.warning("An alert does not go over Kafka", error=str(error))
        if self._webhook_url is not None and len(self._calls) < WEBHOOK_CALLS_MAX:
            call = asyncio.create_task(self._call(self._webhook_url, alert))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def drain(self) -> None:
        """Wait, within the deadline of a call, for the webhook calls under way."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=WEBHOOK_S_MAX)

    async def _call(self, url: str, alert: AlertRaised) -> None:
        try:
            async with self._session.post(
                url, json=alert.model_dump(mode="json"), timeout=aiohttp.ClientTimeout(total=WEBHOOK_S_MAX)
            ) as response:
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.error("The webhook did not take an alert", error=type(error).__name__)
