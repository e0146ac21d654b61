from datetime import timedelta
from typing import Any

import pytest

from libs.common.configuration import NotificationsSection
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity
from services.notifier.domain.routing import Repetition, Route, Routing, Suppression, route
from tests.support.raw_records import AT

BUILT_IN = ("dashboard", "log")
MINUTE = timedelta(seconds=60)


def an_alert(alert_type: AlertType = AlertType.SYSTEM_ERROR, **changes: Any) -> AlertRaised:
    return AlertRaised(
        **{
            "occurred_at": AT,
            "alert_type": alert_type,
            "severity": Severity.WARNING,
            "component": "market_monitor",
            "subject": "BTC/USDT",
            "message": "the book is crossed",
            **changes,
        }
    )


def routing_of(alert: AlertRaised, *, last: Repetition | None = None, **settings: Any) -> Routing:
    return route(
        alert,
        settings=NotificationsSection(**settings),
        available=BUILT_IN,
        last=last,
        repeat_after=MINUTE,
    )


def test_an_alert_goes_to_the_configured_channels_and_the_log():
    assert routing_of(an_alert()).routes == (Route("dashboard"), Route("log"))


def test_a_channel_that_cannot_deliver_is_recorded_as_such_and_holds_up_no_other():
    routing = routing_of(an_alert(), channels=("email", "dashboard"))

    assert routing.routes == (Route("email", Suppression.CHANNEL_UNAVAILABLE), Route("dashboard"), Route("log"))


@pytest.mark.parametrize(
    ("alert_type", "settings", "suppression"),
    [
        (AlertType.TRADE_EXECUTED, {"trade_notifications": False}, Suppression.TYPE_DISABLED),
        (AlertType.PROFIT_TARGET_HIT, {"trade_notifications": False}, Suppression.TYPE_DISABLED),
        (AlertType.STOP_LOSS_HIT, {"trade_notifications": False}, Suppression.TYPE_DISABLED),
        (AlertType.SYSTEM_ERROR, {"trade_notifications": False}, None),
        (AlertType.SYSTEM_ERROR, {"error_notifications": False}, Suppression.TYPE_DISABLED),
        (AlertType.API_CONNECTION_LOST, {"error_notifications": False}, Suppression.TYPE_DISABLED),
        (AlertType.TRADE_EXECUTED, {"error_notifications": False}, None),
        (AlertType.DAILY_LOSS_WARNING, {"error_notifications": False, "trade_notifications": False}, None),
        (AlertType.DAILY_LOSS_WARNING, {"enabled": False}, Suppression.NOTIFICATIONS_DISABLED),
        (AlertType.EMERGENCY_STOP, {"error_notifications": False, "trade_notifications": False}, None),
        (AlertType.EMERGENCY_STOP, {"enabled": False}, None),
    ],
)
def test_the_settings_decide_what_is_told(alert_type, settings, suppression):
    routing = routing_of(an_alert(alert_type), **settings)

    assert {planned.suppression for planned in routing.routes} == {suppression}


def test_an_emergency_stop_goes_to_every_channel_that_works_whatever_is_configured():
    routing = routing_of(an_alert(AlertType.EMERGENCY_STOP), channels=(), enabled=False)

    assert set(routing.routes) == {Route("log"), Route("dashboard")}


@pytest.mark.parametrize(("seconds", "told"), [(0, False), (59.999, False), (60, True), (61, True), (-5, False)])
def test_an_alert_of_the_same_kind_is_told_again_after_exactly_the_pause(seconds, told):
    alert = an_alert(occurred_at=AT + timedelta(seconds=seconds))

    routing = routing_of(alert, last=Repetition(AT, suppressed=2))

    if told:
        assert routing.repeats_suppressed == 2
        assert routing.repetition == Repetition(alert.occurred_at, 0)
        assert {planned.suppression for planned in routing.routes} == {None}
    else:
        assert routing.repetition == Repetition(AT, 3)
        assert {planned.suppression for planned in routing.routes} == {Suppression.REPETITION}


def test_an_emergency_stop_is_told_every_time():
    routing = routing_of(an_alert(AlertType.EMERGENCY_STOP), last=Repetition(AT))

    assert {planned.suppression for planned in routing.routes} == {None}


@pytest.mark.parametrize(
    ("alert_type", "channels", "woken"),
    [
        (AlertType.SYSTEM_ERROR, ("email",), {"telegram"}),  # the first that can deliver
        (AlertType.EMERGENCY_STOP, ("email",), {"telegram", "sms"}),
        (AlertType.SYSTEM_ERROR, ("dashboard",), set()),  # nobody outside was to be told
        (AlertType.SYSTEM_ERROR, ("email", "discord"), set()),  # somebody is
    ],
)
def test_where_no_channel_outside_can_deliver_the_escalation_is_told_at_once(alert_type, channels, woken):
    routing = route(
        an_alert(alert_type),
        settings=NotificationsSection(channels=channels, escalation=("fax", "telegram", "sms")),
        available=(*BUILT_IN, "telegram", "sms", *({"discord"} & {*channels})),
        last=None,
        repeat_after=MINUTE,
    )

    told = {planned.channel for planned in routing.routes if planned.suppression is None}
    assert told & {"telegram", "sms"} == woken


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.INFO])
def test_what_alertmanager_tells_again_is_no_repetition(severity):
    alert = an_alert(component="alertmanager", severity=severity, occurred_at=AT + timedelta(seconds=40))

    routing = routing_of(alert, last=Repetition(AT))

    assert {planned.suppression for planned in routing.routes} == {None}


def test_what_the_settings_hold_back_does_not_count_as_told():
    assert routing_of(an_alert(), enabled=False).repetition is None
