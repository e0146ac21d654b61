"""How the watchdog makes itself heard: its own log, Kafka as far as it works, and a channel that needs neither.

The direct channel speaks where the notifier does not confirm in time. No way of telling can hold up another, or what
the watchdog does.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import structlog
from pydantic import HttpUrl, TypeAdapter, ValidationError

from libs.common.contracts.event import Event
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import Severity
from libs.common.errors import ConfigurationError, RetryableError

CONFIRMED_S_MAX: Final = 5.0
"""An alert that the notifier has not delivered to anybody outside by then is told directly."""
CONFIRMATION_INTERVAL_S: Final = 0.5
CONFIRMATION_S_MAX: Final = 1.0
WEBHOOK_S_MAX: Final = 3.0
WEBHOOK_ATTEMPTS_MAX: Final = 3
WEBHOOK_PAUSE_S: Final = 1.0
ALERTS_WAITING_MAX: Final = 20
"""Alerts that may wait at once; with a dead channel further ones only go the other ways."""

TOLD: Final = "trader_watchdog_alert_told_timestamp_seconds"
_URL: Final = TypeAdapter(HttpUrl)

_log = structlog.get_logger(__name__)


class Confirmation(Protocol):
    """What the notifier has told."""

    async def told_at(self) -> float:
        """Return the epoch time of the newest alert of ours that reached somebody; 0: none that it knows of."""
        ...


class NotifierConfirmation:
    """Reads the notifier's metrics over HTTP: Kafka may be what is down."""

    def __init__(self, session: aiohttp.ClientSession, metrics_url: str) -> None:
        self._session = session
        self._metrics_url = metrics_url

    async def told_at(self) -> float:
        """Return the epoch time of the newest alert of ours that reached somebody; 0: none that it knows of."""
        timeout = aiohttp.ClientTimeout(total=CONFIRMATION_S_MAX)
        try:
            async with self._session.get(self._metrics_url, timeout=timeout) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError):
            return 0.0
        for line in text.splitlines():
            name, _, value = line.partition(" ")
            if name == TOLD:
                return _number(value)
        return 0.0


class DirectChannel:
    """Posts alerts as JSON to addresses of people's own.

    Besides the alert's fields the object has its text as `text` and as `content`, which is what Slack, Telegram and
    Discord show of it.
    """

    def __init__(
        self, session: aiohttp.ClientSession, urls: Sequence[str], *, pause_s: float = WEBHOOK_PAUSE_S
    ) -> None:
        self._session = session
        self._urls = tuple(urls)
        self._pause_s = pause_s

    @property
    def exists(self) -> bool:
        """Whether there is anywhere to post to."""
        return bool(self._urls)

    async def post(self, alert: AlertRaised) -> None:
        """Post to every address, each a few times until it takes it."""
        text = f"{alert.severity.value}: {alert.message}"
        content = {**alert.model_dump(mode="json"), "text": text, "content": text}
        await asyncio.gather(*(self._post(number, url, content) for number, url in enumerate(self._urls, start=1)))

    async def _post(self, number: int, url: str, content: dict[str, Any]) -> None:
        for attempt in range(1, WEBHOOK_ATTEMPTS_MAX + 1):
            try:
                async with self._session.post(
                    url, json=content, timeout=aiohttp.ClientTimeout(total=WEBHOOK_S_MAX)
                ) as response:
                    response.raise_for_status()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                # Not the address: it often is the secret.
                _log.error(
                    "A webhook did not take an alert", webhook=number, attempt=attempt, error=type(error).__name__
                )
            else:
                return
            if attempt < WEBHOOK_ATTEMPTS_MAX:
                await asyncio.sleep(self._pause_s)


class Alarm:
    """Tells people.

    Args:
        publish: Puts an alert on its way over Kafka to the notifier.
        direct: The channel of its own.
        confirmation: What the notifier has told; None: there is no notifier to ask.
        confirmed_s_max: How long to wait for it.
    """

    def __init__(
        self,
        *,
        publish: Callable[[Event], None],
        direct: DirectChannel,
        confirmation: Confirmation | None,
        confirmed_s_max: float = CONFIRMED_S_MAX,
    ) -> None:
        self._publish = publish
        self._direct = direct
        self._confirmation = confirmation
        self._confirmed_s_max = confirmed_s_max
        self._waiting: set[asyncio.Task[None]] = set()

    def tell(self, alert: AlertRaised) -> None:
        """Tell at once over the log, and without waiting over Kafka and, unconfirmed, directly."""
        write = _log.info if alert.severity is Severity.INFO else _log.error
        write(alert.message, alert_type=alert.alert_type.value, severity=alert.severity.value, subject=alert.subject)
        confirmation = self._confirmation
        try:
            self._publish(alert)
        except RetryableError as error:
            _log.warning("An alert does not go over Kafka", error=str(error))
            confirmation = None
        if self._direct.exists and len(self._waiting) < ALERTS_WAITING_MAX:
            task = asyncio.create_task(self._see_to(alert, confirmation))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def drain(self) -> None:
        """Wait for the alerts under way, within the deadlines of a confirmation and a call."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=self._confirmed_s_max + WEBHOOK_S_MAX)

    async def _see_to(self, alert: AlertRaised, confirmation: Confirmation | None) -> None:
        if confirmation is None or not await self._is_confirmed(alert, confirmation):
            await self._direct.post(alert)

    async def _is_confirmed(self, alert: AlertRaised, confirmation: Confirmation) -> bool:
        raised_at_s = alert.occurred_at.timestamp()
        try:
            async with asyncio.timeout(self._confirmed_s_max):
                while True:
                    if await confirmation.told_at() >= raised_at_s:
                        return True
                    await asyncio.sleep(CONFIRMATION_INTERVAL_S)
        except TimeoutError:
            return False


def load_urls(path: Path) -> tuple[str, ...]:
    """Return the addresses of a secret file: one a line, blank lines and those that begin with # left out.

    Raises:
        ConfigurationError: The file cannot be read, or a line is no HTTP address; the line itself is not shown.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(where=str(path), expected="one address a line", found=type(error).__name__) from error
    urls = []
    for number, line in enumerate(lines, start=1):
        address = line.strip()
        if not address or address.startswith("#"):
            continue
        try:
            urls.append(str(_URL.validate_python(address)))
        except ValidationError as error:
            raise ConfigurationError(
                where=f"{path}:{number}", expected="an address that begins with http:// or https://", found="another"
            ) from error
    return tuple(urls)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
