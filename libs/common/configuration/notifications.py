"""The section `notifications`: who is told of what, when, and what happens where nobody hears it."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from libs.common.configuration.section import Section, distinct
from libs.common.contracts.vocabulary import AlertType, Severity

ChannelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,29}$")]
"""dashboard, email, discord, telegram, or a name of the user's own in the secret file `notification-channels`."""

_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class NotificationRoute(Section):
    """Alerts that go elsewhere than to `channels`."""

    types: tuple[AlertType, ...] = Field(default=(), max_length=10, description="Of these types; none: of every type.")
    severities: tuple[Severity, ...] = Field(default=(), max_length=3, description="Of these severities; none: all.")
    channels: tuple[ChannelName, ...] = Field(max_length=20, description="Where they go; none: nowhere but the log.")

    def covers(self, alert_type: AlertType, severity: Severity) -> bool:
        """Tell whether such an alert goes this way."""
        return (not self.types or alert_type in self.types) and (not self.severities or severity in self.severities)


class NotificationsSection(Section):
    """The specification's `notifications`, and what a night and a flood need besides."""

    enabled: bool = Field(default=True, description="Whether anything is sent; EMERGENCY_STOP always is.")
    channels: tuple[ChannelName, ...] = Field(default=("dashboard",), max_length=20, description="Where messages go.")
    trade_notifications: bool = Field(default=True, description="Messages about trades, targets and stops.")
    error_notifications: bool = Field(default=True, description="Messages about errors and lost connections.")
    routes: tuple[NotificationRoute, ...] = Field(
        default=(), max_length=50, description="Other channels by type and severity; the first that covers an alert."
    )
    quiet_hours: str | None = Field(
        default=None,
        max_length=20,
        description="As 22:00-07:00: what can wait is told at their end, as one message.",
    )
    quiet_hours_timezone: str | None = Field(
        default=None, max_length=60, description="Time zone of quiet_hours; null: that of the display."
    )
    messages_per_minute_max: int = Field(
        default=20, ge=1, le=10_000, description="Of a channel; what is more waits and is told as one message."
    )
    escalation: tuple[ChannelName, ...] = Field(
        default=(), max_length=20, description="Who is told next, in order, where a delivery fails or nobody answers."
    )
    acknowledge_within_min: int = Field(
        default=10, ge=1, le=1_440, description="An EMERGENCY_STOP not acknowledged by then is told again."
    )

    @field_validator("channels", "escalation")
    @classmethod
    def _channels_differ(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        return distinct(channels)

    @field_validator("quiet_hours")
    @classmethod
    def _are_hours(cls, hours: str | None) -> str | None:
        if hours is not None and (_HOURS.fullmatch(hours) is None or hours[:5] == hours[6:]):
            message = "two different times of a day, as 22:00-07:00"
            raise ValueError(message)
        return hours

    @field_validator("quiet_hours_timezone")
    @classmethod
    def _is_a_zone(cls, name: str | None) -> str | None:
        return name if name is None else time_zone(name)

    def channels_of(self, alert_type: AlertType, severity: Severity) -> tuple[str, ...]:
        """Return where such an alert goes."""
        ways = (route.channels for route in self.routes if route.covers(alert_type, severity))
        return next(ways, self.channels)

    def quiet_until(self, now: datetime, *, timezone: str) -> datetime | None:
        """Return when the quiet hours end in which `now` lies, None outside of them; both in UTC.

        Args:
            now: The moment.
            timezone: Where the hours are meant, unless they have a zone of their own.
        """
        if self.quiet_hours is None:
            return None
        begins, ends = (time.fromisoformat(text) for text in self.quiet_hours.split("-"))
        zone = ZoneInfo(self.quiet_hours_timezone or timezone)
        local = now.astimezone(zone)
        clock = local.time()
        if not (begins <= clock < ends if begins < ends else clock >= begins or clock < ends):
            return None
        day = local.date() if clock < ends else local.date() + timedelta(days=1)
        return datetime.combine(day, ends, tzinfo=zone).astimezone(UTC)


def time_zone(name: str) -> str:
    """Return the name of a time zone that this machine knows.

    Raises:
        ValueError: It does not.
    """
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            message = "the name of a time zone such as Asia/Seoul"
            raise ValueError(message) from error
    return name
