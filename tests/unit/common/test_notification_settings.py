"""Who is told when: routes, quiet hours and their time zone."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from libs.common.configuration import NotificationsSection
from libs.common.contracts.vocabulary import AlertType, Severity


@pytest.mark.parametrize(
    ("alert_type", "severity", "channels"),
    [
        (AlertType.TRADE_EXECUTED, Severity.INFO, ("discord",)),
        (AlertType.SYSTEM_ERROR, Severity.CRITICAL, ("sms", "email")),
        (AlertType.EMERGENCY_STOP, Severity.CRITICAL, ("sms", "email")),
        (AlertType.STOP_LOSS_HIT, Severity.INFO, ()),
        (AlertType.SYSTEM_ERROR, Severity.WARNING, ("dashboard", "email")),
    ],
)
def test_the_first_route_that_covers_an_alert_says_where_it_goes(alert_type, severity, channels):
    settings = NotificationsSection.model_validate(
        {
            "channels": ["dashboard", "email"],
            "routes": [
                {"types": ["TRADE_EXECUTED"], "channels": ["discord"]},
                {"severities": ["CRITICAL"], "channels": ["sms", "email"]},
                {"types": ["TRADE_EXECUTED", "STOP_LOSS_HIT"], "severities": ["INFO"], "channels": []},
            ],
        }
    )

    assert settings.channels_of(alert_type, severity) == channels


@pytest.mark.parametrize(
    ("hours", "now", "ends"),
    [
        ("22:00-07:00", "21:59", None),
        ("22:00-07:00", "22:00", "2026-03-02T07:00"),
        ("22:00-07:00", "06:59", "2026-03-01T07:00"),
        ("22:00-07:00", "07:00", None),
        ("12:00-13:30", "13:29", "2026-03-01T13:30"),
        ("12:00-13:30", "11:59", None),
        (None, "03:00", None),
    ],
)
def test_quiet_hours_begin_and_end_to_the_minute(hours, now, ends):
    settings = NotificationsSection(quiet_hours=hours)

    until = settings.quiet_until(datetime.fromisoformat(f"2026-03-01T{now}+00:00"), timezone="UTC")

    assert until == (None if ends is None else datetime.fromisoformat(f"{ends}+00:00"))


def test_quiet_hours_are_those_of_their_zone_and_otherwise_of_the_display():
    now = datetime(2026, 3, 1, 14, tzinfo=UTC)  # 23:00 in Seoul, 15:00 in Berlin

    of_the_display = NotificationsSection(quiet_hours="22:00-07:00")
    of_berlin = NotificationsSection(quiet_hours="22:00-07:00", quiet_hours_timezone="Europe/Berlin")

    assert of_the_display.quiet_until(now, timezone="Asia/Seoul") == datetime(2026, 3, 1, 22, tzinfo=UTC)
    assert of_berlin.quiet_until(now, timezone="Asia/Seoul") is None


def test_quiet_hours_over_a_change_of_the_clock_end_at_the_new_time():
    settings = NotificationsSection(quiet_hours="22:00-07:00")
    before = datetime(2026, 3, 28, 22, tzinfo=UTC)  # 23:00 in Berlin; at 01:00 UTC its clocks go forward

    assert settings.quiet_until(before, timezone="Europe/Berlin") == datetime(2026, 3, 29, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "mistake",
    [
        {"quiet_hours": "22-7"},
        {"quiet_hours": "24:00-07:00"},
        {"quiet_hours": "0\uff17:00-1\u0662:00"},  # digits elsewhere
        {"quiet_hours": "07:00-07:00"},
        {"quiet_hours_timezone": "Asia/Pyeongyang-on-sea"},
        {"channels": ["email", "email"]},
        {"escalation": ["Sms"]},
        {"routes": [{"types": ["LUNCH"], "channels": ["email"]}]},
        {"messages_per_minute_max": 0},
        {"acknowledge_within_min": 0},
    ],
)
def test_a_setting_that_nobody_could_keep_is_refused(mistake):
    with pytest.raises(ValidationError):
        NotificationsSection.model_validate(mistake)
