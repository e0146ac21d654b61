"""Which channels an alert goes to, when, and why it does not go to others.

Nothing is dropped without a trace: what is held back is recorded with its reason, repetitions are counted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from libs.common.configuration import NotificationsSection
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity

TRADE_TYPES: Final = frozenset({AlertType.TRADE_EXECUTED, AlertType.PROFIT_TARGET_HIT, AlertType.STOP_LOSS_HIT})
"""What `trade_notifications` switches."""
ERROR_TYPES: Final = frozenset({AlertType.SYSTEM_ERROR, AlertType.API_CONNECTION_LOST})
"""What `error_notifications` switches."""
ALWAYS_TOLD: Final = frozenset({AlertType.EMERGENCY_STOP})
"""What no setting and no repetition holds back."""
ALERTMANAGER: Final = "alertmanager"
"""The component of its alerts. It repeats none by itself, and each firing begins, and ends, at its own moment."""

DASHBOARD: Final = "dashboard"
LOG: Final = "log"
BUILT_IN: Final = (DASHBOARD, LOG)
"""Channels that need no secrets and disturb nobody. The log is written whatever channels are configured."""


class Suppression(StrEnum):
    """Why a notification is not sent."""

    NOTIFICATIONS_DISABLED = "NOTIFICATIONS_DISABLED"
    TYPE_DISABLED = "TYPE_DISABLED"
    CHANNEL_UNAVAILABLE = "CHANNEL_UNAVAILABLE"
    REPETITION = "REPETITION"


class Hold(StrEnum):
    """Why a notification waits; what waited is told as one message."""

    QUIET_HOURS = "QUIET_HOURS"
    RATE_LIMIT = "RATE_LIMIT"


@dataclass(frozen=True, slots=True)
class Repetition:
    """When an alert of the same kind was last told, and how many were held back since."""

    told_at: datetime
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """One channel's share of an alert.

    Attributes:
        suppression: It is recorded and not sent.
        held_until: It is told then, together with what else was held.
    """

    channel: str
    suppression: Suppression | None = None
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """What becomes of an alert.

    Attributes:
        repetition: What to remember for the next one; None: nothing changes.
        repeats_suppressed: Held back since the last one that was told; it is said in the text.
    """

    routes: tuple[Route, ...]
    repetition: Repetition | None
    repeats_suppressed: int = 0


@dataclass(frozen=True, slots=True)
class Reminder:
    """Who is told again that nobody has acknowledged an alert; `is_last`: after that nobody is."""

    channels: tuple[str, ...]
    is_last: bool


def is_urgent(alert: AlertRaised) -> bool:
    """Tell whether neither quiet hours nor a rate limit may hold it."""
    return alert.alert_type in ALWAYS_TOLD or alert.severity is Severity.CRITICAL


def needs_acknowledgement(alert: AlertRaised) -> bool:
    """Tell whether somebody must say that he knows of it."""
    return alert.alert_type in ALWAYS_TOLD and alert.severity is not Severity.INFO


def ends_emergency(alert: AlertRaised) -> bool:
    """Tell whether it is the end of an emergency stop, so that somebody knew of it."""
    return alert.alert_type in ALWAYS_TOLD and alert.severity is Severity.INFO


def route(
    alert: AlertRaised,
    *,
    settings: NotificationsSection,
    available: Collection[str],
    last: Repetition | None,
    repeat_after: timedelta,
    quiet_until: datetime | None = None,
) -> Routing:
    """Return where an alert goes.

    Args:
        alert: What happened.
        settings: What the user wants to be told, and where.
        available: Channels that can deliver.
        last: The last alert of the same kind that was told.
        repeat_after: An alert of the same kind is told again after this time.
        quiet_until: When the quiet hours end; None: it is none of them.
    """
    channels = _channels(alert, settings, available)
    disabled = _disabled(alert, settings)
    if disabled is not None:
        return Routing(tuple(Route(channel, disabled) for channel in channels), None)
    if _repeats(alert, last, repeat_after):
        held_back = Repetition(last.told_at, last.suppressed + 1) if last else None
        return Routing(tuple(Route(channel, Suppression.REPETITION) for channel in channels), held_back)
    may_wait = not is_urgent(alert) and not alert.channels
    channels = (*channels, *_instead(alert, channels, settings.escalation, available))
    return Routing(
        tuple(_route(channel, available, quiet_until if may_wait else None) for channel in channels),
        Repetition(max(alert.occurred_at, last.told_at) if last else alert.occurred_at),
        last.suppressed if last else 0,
    )


def reminder(step: int, *, escalation: Sequence[str], available: Collection[str]) -> Reminder:
    """Return who is told when an alert was not acknowledged in time: the next of the escalation, else everybody.

    Args:
        step: How often nobody answered before.
        escalation: As configured.
        available: Channels that can deliver.
    """
    ways: list[tuple[str, ...]] = [(channel,) for channel in escalation if channel in available]
    if not ways:
        ways = [tuple(channel for channel in available if channel not in BUILT_IN)]
    return Reminder(ways[step] if step < len(ways) else (), is_last=step + 1 >= len(ways))


def _route(channel: str, available: Collection[str], quiet_until: datetime | None) -> Route:
    if channel not in available:
        return Route(channel, Suppression.CHANNEL_UNAVAILABLE)
    return Route(channel, held_until=None if channel in BUILT_IN else quiet_until)


def _channels(alert: AlertRaised, settings: NotificationsSection, available: Collection[str]) -> tuple[str, ...]:
    if alert.channels:
        return tuple(dict.fromkeys((*alert.channels, LOG)))
    configured = (*settings.channels_of(alert.alert_type, alert.severity), LOG)
    if alert.alert_type not in ALWAYS_TOLD:
        return tuple(dict.fromkeys(configured))
    named = {channel for route in settings.routes for channel in route.channels} | {*settings.channels}
    spared = {*settings.escalation} - named  # they are woken where nobody else answers
    return tuple(dict.fromkeys((*configured, *(channel for channel in available if channel not in spared))))


def _instead(
    alert: AlertRaised, channels: Sequence[str], escalation: Sequence[str], available: Collection[str]
) -> tuple[str, ...]:
    """Return who is told where no channel outside can deliver: the first of the escalation, of an emergency all."""
    outside = [channel for channel in channels if channel not in BUILT_IN]
    if alert.channels or not outside or any(channel in available for channel in outside):
        return ()
    ways = [channel for channel in escalation if channel in available and channel not in channels]
    return tuple(ways if alert.alert_type in ALWAYS_TOLD else ways[:1])


def _disabled(alert: AlertRaised, settings: NotificationsSection) -> Suppression | None:
    if alert.alert_type in ALWAYS_TOLD:
        return None
    if not settings.enabled:
        return Suppression.NOTIFICATIONS_DISABLED
    unwanted_trade = alert.alert_type in TRADE_TYPES and not settings.trade_notifications
    unwanted_error = alert.alert_type in ERROR_TYPES and not settings.error_notifications
    return Suppression.TYPE_DISABLED if (unwanted_trade or unwanted_error) and not alert.channels else None


def _repeats(alert: AlertRaised, last: Repetition | None, repeat_after: timedelta) -> bool:
    if last is None or alert.alert_type in ALWAYS_TOLD or alert.component == ALERTMANAGER or alert.channels:
        return False
    return alert.occurred_at < last.told_at + repeat_after
