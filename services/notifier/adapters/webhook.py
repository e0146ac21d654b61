"""The door for Alertmanager: its alerts become ours, each recorded once however often it tells them.

They are written down at once and published as well: an alert about Kafka must not wait for Kafka.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal, Protocol

import structlog
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from libs.common.clock import Clock
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX, TIME_MAX, TIME_MIN
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.errors import RetryableError
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.deadlines import deadline
from services.notifier.domain.routing import ALERTMANAGER

PATH: Final = "/webhooks/alertmanager"
BYTES_MAX: Final = 262_144
READ_S_MAX: Final = 5.0
ALERTS_MAX: Final = 500
RECORDED_S_MAX: Final = 4.0
"""Alertmanager tries again what it was not answered within its own deadline, 10 s."""
PUBLISHED_S_MAX: Final = 4.0
VALUE_CHARACTERS_MAX: Final = 500

_SEVERITIES: Final = {"page": Severity.CRITICAL, "ticket": Severity.WARNING}

_log: Final = structlog.get_logger(__name__)


class PrometheusAlert(BaseModel):
    """One alert of a message; what else stands in it is passed over."""

    model_config = ConfigDict(frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(max_length=100)
    annotations: dict[str, str] = Field(default_factory=dict, max_length=100)
    starts_at: AwareDatetime = Field(alias="startsAt", ge=TIME_MIN, lt=TIME_MAX)
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")
    fingerprint: str = Field(min_length=1, max_length=64)

    def raised(self) -> AlertRaised:
        """Return it as an alert of ours, the same one for every message that tells this firing, or its end.

        Nothing of it can ask anybody to halt.
        """
        resolved = self.status == "resolved"
        name = self.labels.get("alertname", "unnamed")
        told = {
            "alertname": name,
            **{each: self.annotations.get(each, "") for each in ("summary", "description", "runbook_url")},
            "resolved_at": f"{self.ends_at:%Y-%m-%d %H:%M:%S %Z}" if resolved and self.ends_at else "",
        }
        summary = " ".join(told["summary"].split()) or name
        return AlertRaised(
            occurred_at=self.starts_at,
            alert_type=AlertType.SYSTEM_ERROR,
            severity=Severity.INFO if resolved else _SEVERITIES.get(self.labels.get("severity", ""), Severity.WARNING),
            component=ALERTMANAGER,
            subject=f"{name[:100]} {self.fingerprint} {self.status}",
            message=f"{name}: {summary}"[:TEXT_CHARACTERS_MAX],
            parameters={each: value[:VALUE_CHARACTERS_MAX] for each, value in told.items() if value},
        )


class AlertmanagerMessage(BaseModel):
    """The body of a webhook call, version 4."""

    model_config = ConfigDict(frozen=True)

    version: Literal["4"]
    alerts: tuple[PrometheusAlert, ...] = Field(max_length=ALERTS_MAX)


class AlertPublisher(Protocol):
    """Publishes alerts."""

    def publish(self, event: AlertRaised) -> None:
        """Buffer an alert; it will be sent while this process lives."""
        ...

    async def send(self, event: AlertRaised, *, deadline_s: float) -> None:
        """Publish an alert and wait until the broker has it.

        Raises:
            RetryableError: It has not, or not in time.
        """
        ...


class AlertmanagerWebhook:
    """Takes the calls.

    Args:
        token: What a caller must bear.
        record: Writes an alert down, to be told.
        publisher: Puts an alert on its topic, for everybody else, and for ourselves where it could not be recorded.
    """

    def __init__(
        self,
        *,
        token: str,
        record: Callable[[Envelope[AlertRaised]], Awaitable[Sequence[Event]]],
        publisher: AlertPublisher,
        clock: Clock,
    ) -> None:
        self._bearer = hashlib.sha256(f"Bearer {token}".encode()).digest()
        self._record = record
        self._publisher = publisher
        self._clock = clock

    async def handle(self, request: web.Request) -> web.Response:
        """Answer 200 when every alert is recorded or the broker has it, 503 when neither could be done with one."""
        presented = hashlib.sha256(request.headers.get("Authorization", "").encode()).digest()
        if not hmac.compare_digest(presented, self._bearer):
            return _answer(401, "expected the bearer token of the secret file alertmanager-webhook, found another")
        if (request.content_length or 0) > BYTES_MAX:
            return _answer(413, f"expected at most {BYTES_MAX} bytes, found more")
        try:
            content = await deadline(request.read(), READ_S_MAX, "reading a webhook call")
            message = AlertmanagerMessage.model_validate_json(content)
        except RetryableError as error:
            return _answer(408, str(error))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            return _answer(400, f"expected an Alertmanager webhook of version 4: {where}: {first['msg']}")
        for alert in message.alerts:
            if not await self._keep(alert):  # the others would fare no better, and what was kept is recorded once
                return _answer(503, "try again: nothing can be written")
        return _answer(200, f"{len(message.alerts)} alerts")

    async def _keep(self, alert: PrometheusAlert) -> bool:
        raised = alert.raised()
        envelope: Envelope[Any] = enclose(raised, cause=Cause.none(), ordinal=0, now=self._clock.now())
        is_recorded = True
        try:
            await deadline(self._record(envelope), RECORDED_S_MAX, "recording an alert")
        except RetryableError as error:
            is_recorded = False
            _log.warning("An alert of Alertmanager was not recorded", subject=raised.subject, error=str(error))
        try:
            if is_recorded:
                self._publisher.publish(raised)
            else:  # what is only buffered dies with this process
                await self._publisher.send(raised, deadline_s=PUBLISHED_S_MAX)
        except RetryableError as error:
            _log.warning("An alert of Alertmanager was not published", subject=raised.subject, error=str(error))
            return is_recorded
        return True


def _answer(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)
