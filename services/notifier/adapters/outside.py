"""Channels to people over apprise: mail, Discord, Telegram, and whatever else it has an address form for.

Invariant: an address is a secret. Nothing that apprise, or a library below it, says reaches a log; of a failure only
the last sentence is told, without any part of the address.
"""

import asyncio
import json
import logging
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from pydantic import TypeAdapter, ValidationError

from libs.common.configuration.notifications import ChannelName
from libs.common.contracts.vocabulary import Severity
from services.notifier.adapters.tunnel import tunnel_mail
from services.notifier.domain.routing import BUILT_IN
from services.notifier.service.ports import Delivery, Notification

ADDRESSES_BYTES_MAX: Final = 65_536
REASON_CHARACTERS_MAX: Final = 200
SECRET_CHARACTERS_MIN: Final = 4
"""Shorter parts of an address are ordinary words, and no secrets."""
SAID_MAX: Final = 20
SILENCED: Final = ("apprise", "requests", "urllib3")
"""They write addresses into their lines."""
REDACTED: Final = "[redacted]"

_ADDRESSES: Final = TypeAdapter(dict[ChannelName, str])
_PARTS: Final = re.compile(r"[:/@?&=,;#\s]+")
_NOTIFY_TYPES: Final[Mapping[str, str]] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "failure",
}
_said: ContextVar[list[str] | None] = ContextVar("said", default=None)


class AppriseChannel:
    """One address.

    Each attempt has a thread of its own, which may outlive it: apprise waits for servers without a deadline of ours,
    and a pool of threads could be full of dead channels when another one is needed.
    """

    def __init__(self, name: str, address: str, service: Any) -> None:
        self._name = name
        self._service = service
        self._secrets = secrets_of(address)
        self._attempt: threading.Thread | None = None

    async def deliver(self, notification: Notification) -> Delivery:
        """Try once, unless the attempt before still waits for an answer."""
        if self._attempt is not None and self._attempt.is_alive():
            return Delivery(delivered=False, reason="the attempt before still waits for an answer")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Delivery] = loop.create_future()

        def attempt() -> None:
            delivery = self._send(notification)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, outcome, delivery)

        self._attempt = threading.Thread(target=attempt, daemon=True, name=f"channel {self._name}")
        self._attempt.start()
        return await outcome

    def _send(self, notification: Notification) -> Delivery:
        said: list[str] = []
        _said.set(said)
        try:
            delivered = self._service.notify(
                title=notification.title,
                body=notification.body,
                notify_type=_NOTIFY_TYPES[notification.severity],
                body_format="text",
                overflow="split",
            )
        except Exception as error:  # noqa: BLE001 - a hundred plugins; whatever one raises is a failed attempt
            return Delivery(delivered=False, reason=f"the channel broke: {type(error).__name__}")
        if delivered:
            return Delivery(delivered=True)
        return Delivery(delivered=False, reason=redacted(said[-1], self._secrets) if said else "it was not taken")


def load_channels(path: Path) -> tuple[dict[str, AppriseChannel], dict[str, str]]:
    """Return the channels of the file of addresses, and what is wrong with each other one by its name.

    A missing file is no mistake; of a file that cannot be used the mistake stands under its name.

    Args:
        path: A JSON object of apprise addresses by channel, readable by this process only.
    """
    try:
        with path.open("rb") as file:
            content = file.read(ADDRESSES_BYTES_MAX + 1)
    except FileNotFoundError:
        return {}, {}
    except OSError as error:
        return {}, {path.name: f"expected a readable file, found: {error.strerror}"}
    if len(content) > ADDRESSES_BYTES_MAX:
        return {}, {path.name: f"expected at most {ADDRESSES_BYTES_MAX} bytes, found more"}
    try:
        addresses = _ADDRESSES.validate_python(json.loads(content))
    except (ValueError, ValidationError):  # what they say shows what they found
        return {}, {path.name: 'expected JSON as {"email": "mailtos://...", "my-sms": "..."}, found something else'}
    return _opened(addresses) if addresses else ({}, {})


def _opened(addresses: Mapping[str, str]) -> tuple[dict[str, AppriseChannel], dict[str, str]]:
    import apprise  # noqa: PLC0415 - it costs a second and 20 MB, which nobody pays who has no channel

    _silence()
    tunnel_mail()
    asset = apprise.AppriseAsset(app_id="Crypto Trader Pro", app_desc="Auto Trading System", app_url="")
    channels: dict[str, AppriseChannel] = {}
    problems: dict[str, str] = {}
    for name, address in addresses.items():
        if name in BUILT_IN:
            problems[name] = "expected a name of another channel: this one needs no address"
            continue
        service = apprise.Apprise.instantiate(address, asset=asset)
        if service is None:
            problems[name] = "expected an address that apprise understands, found another; see docs/notifications.md"
        else:
            service.request_rate_per_sec = 0  # it would sleep between two messages; the sender keeps the pace
            channels[name] = AppriseChannel(name, address, service)
    return channels, problems


def secrets_of(address: str) -> tuple[str, ...]:
    """Return the parts of an address that must be shown nowhere, the longest first."""
    _, _, rest = address.partition("://")
    parts = {part for text in (rest, unquote(rest)) for part in _PARTS.split(text)}
    return tuple(sorted((part for part in parts if len(part) >= SECRET_CHARACTERS_MIN), key=len, reverse=True))


def redacted(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text without the secrets, in one line, shortened."""
    for secret in secrets:
        text = re.sub(re.escape(secret), REDACTED, text, flags=re.IGNORECASE)
    return " ".join(text.split())[:REASON_CHARACTERS_MAX]


class _Ear(logging.Handler):
    """Keeps what is said during an attempt, for the thread that makes it."""

    def emit(self, record: logging.LogRecord) -> None:
        said = _said.get()
        if said is not None and record.levelno >= logging.WARNING and len(said) < SAID_MAX:
            said.append(record.getMessage())


def _silence() -> None:
    for library in SILENCED:
        logger = logging.getLogger(library)
        logger.handlers[:] = [_Ear()]
        logger.setLevel(logging.WARNING)
        logger.propagate = False


def _settle(outcome: "asyncio.Future[Delivery]", delivery: Delivery) -> None:
    if not outcome.done():
        outcome.set_result(delivery)
