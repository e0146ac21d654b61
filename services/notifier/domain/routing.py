"""Which channels an alert goes to, and why it does not go to others.

Nothing is dropped without a trace: what is held back is recorded with its reason, repetitions are counted.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from libs.common.configuration import NotificationsSection
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType

TRADE_TYPES: Final = frozenset({AlertType.TRADE_EXECUTED, AlertType.PROFIT_TARGET_HIT, AlertType.STOP_LOSS_HIT})
"""What `trade_notifications` switches."""
ERROR_TYPES: Final = frozenset({AlertType.SYSTEM_ERROR, AlertType.API_CONNECTION_LOST})
"""What `error_notifications` switches."""
ALWAYS_TOLD: Final = frozenset({AlertType.EMERGENCY_STOP})
"""What no setting and no repetition holds back."""

DASHBOARD: Final = "dashboard"
LOG: Final = "log"
BUILT_IN: Final = (DASHBOARD, LOG)
"""Channels that need no secrets. The log is written whatever channels are configured."""


class Suppression(StrEnum):
    """Why a notification is held back."""

    NOTIFICATIONS_DISABLED = "NOTIFICATIONS_DISABLED"
    TYPE_DISABLED = "TYPE_DISABLED"
    CHANNEL_UNAVAILABLE = "CHANNEL_UNAVAILABLE"
    REPETITION = "REPETITION"


@dataclass(frozen=True, slots=True)
class Repetition:
    """When an alert of the same kind was last told, and how many were held back since."""

    told_at: datetime
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """One channel's share of an alert; a suppression means that it is recorded but not sent."""

    channel: str
    suppression: Suppression | None = None


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


def route(
    alert: AlertRaised,
    *,
    settings: NotificationsSection,
    available: Collection[str],
    last: Repetition | None,
    repeat_after: timedelta,
) -> Routing:
    """Return where an alert goes.

    Args:
        alert: What happened.
        settings: What the user wants to be told, and where.
        available: Channels that can deliver.
        last: The last alert of the same kind that was told.
        repeat_after: An alert of the same kind is told again after this time.
    """
    channels = _channels(alert, settings, available)
    disabled = _disabled(alert, settings)
    if disabled is not None:
        return Routing(tuple(Route(channel, disabled) for channel in channels), None)
    if _repeats(alert, last, repeat_after):
        held_back = Repetition(last.told_at, last.suppressed + 1) if last else None
        return Routing(tuple(Route(channel, Suppression.REPETITION) for channel in channels), held_back)
    return Routing(
        tuple(
            Route(channel, None if channel in available else Suppression.CHANNEL_UNAVAILABLE) for channel in channels
        ),
        Repetition(max(alert.occurred_at, last.told_at) if last else alert.occurred_at),
        last.suppressed if last else 0,
    )


def _channels(alert: AlertRaised, settings: NotificationsSection, available: Collection[str]) -> tuple[str, ...]:
    configured = (*settings.channels, LOG)
    everywhere = tuple(available) if alert.alert_type in ALWAYS_TOLD else ()
    return tuple(dict.fromkeys((*configured, *everywhere)))


def _disabled(alert: AlertRaised, settings: NotificationsSection) -> Suppression | None:
    if alert.alert_type in ALWAYS_TOLD:
        return None
    if not settings.enabled:
        return Suppression.NOTIFICATIONS_DISABLED
    unwanted_trade = alert.alert_type in TRADE_TYPES and not settings.trade_notifications
    unwanted_error = alert.alert_type in ERROR_TYPES and not settings.error_notifications
    return Suppression.TYPE_DISABLED if unwanted_trade or unwanted_error else None


def _repeats(alert: AlertRaised, last: Repetition | None, repeat_after: timedelta) -> bool:
    if last is None or alert.alert_type in ALWAYS_TOLD:
        return False
    return alert.occurred_at < last.told_at + repeat_after
