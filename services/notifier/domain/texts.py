"""What a notification says: from an alert's type and parameters, in the user's language and time.

A template is used only when every value it needs is there; the last resort is the alert's own English message. Every
message carries the short id of its alert, so that one that arrives twice is known for the same.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Formatter
from typing import Final
from zoneinfo import ZoneInfo

from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import Severity
from services.notifier.domain.words import (
    ALL_CLEAR,
    REPEATS,
    SUMMARY,
    TEMPLATES,
    TRIAL,
    UNANSWERED,
    WORDS,
    Language,
    Template,
)

TITLE_CHARACTERS_MAX: Final = 200
BODY_CHARACTERS_MAX: Final = 1_500
"""What happened, without what to do, id and time: the whole fits into one message of every service."""
SUMMARY_CHARACTERS_MAX: Final = 1_700
SUMMARY_TITLE_CHARACTERS_MAX: Final = 60
ID_CHARACTERS: Final = 8
"""A short id: as many alerts as a person will ever meet differ in it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A notification's words."""

    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a summary says of one alert."""

    event_id: uuid.UUID
    occurred_at: datetime
    alert_type: str
    title: str


def short_id(event_id: uuid.UUID) -> str:
    """Return the part of an event's id that people see and type."""
    return event_id.hex[:ID_CHARACTERS]


def compose(
    alert: AlertRaised,
    language: Language,
    *,
    event_id: uuid.UUID,
    timezone: str = "UTC",
    repeats_suppressed: int = 0,
) -> Text:
    """Return the words for an alert: what happened, what to do, its id and time.

    Args:
        alert: What happened.
        language: The user's.
        event_id: The alert's.
        timezone: The user's, beside UTC.
        repeats_suppressed: How many like it were not told.
    """
    template = _template(alert, language)
    words = WORDS[language]
    known = {
        "component": alert.component,
        "subject": alert.subject,
        "message": alert.message,
        **({"symbol": alert.symbol} if alert.symbol else {}),
        **({"account": alert.account} if alert.account else {}),
        **alert.parameters,
        "id": short_id(event_id),
    }
    values = {name: words.get(value, value) for name, value in known.items()}
    body = _first(template.bodies, values)
    if repeats_suppressed:
        body = REPEATS[language].format(body=body, count=repeats_suppressed)
    place = alert.symbol or alert.account
    title = f"{template.title}: {place}" if place else template.title
    told = (
        _shortened(body, BODY_CHARACTERS_MAX),
        _shortened(_first(template.advice, values), TITLE_CHARACTERS_MAX),
        f"id {short_id(event_id)} · {times(alert.occurred_at, timezone)}",
    )
    return Text(_shortened(title, TITLE_CHARACTERS_MAX), "\n".join(told))


def summarise(lines: Sequence[Line], language: Language, *, timezone: str) -> Text:
    """Return one message about several alerts, oldest first; those beyond its length are counted by type."""
    title, rest = SUMMARY[language]
    told: list[str] = []
    room = SUMMARY_CHARACTERS_MAX
    for line in lines:
        name = _shortened(line.title, SUMMARY_TITLE_CHARACTERS_MAX)
        entry = f"{_local(line.occurred_at, timezone):%m-%d %H:%M} [{short_id(line.event_id)}] {name}"
        room -= len(entry) + 1
        if room < 0:
            break
        told.append(entry)
    untold = Counter(line.alert_type for line in lines[len(told) :])
    if untold:
        types = ", ".join(f"{alert_type} {count}" for alert_type, count in untold.most_common())
        told.append(rest.format(count=untold.total(), types=types))
    return Text(title.format(count=len(lines)), "\n".join(told))


def remind(text: Text, language: Language, *, minutes: int) -> Text:
    """Return the words of a notification that nobody has acknowledged."""
    title, body = UNANSWERED[language]
    return Text(
        _shortened(title.format(title=text.title), TITLE_CHARACTERS_MAX), body.format(body=text.body, minutes=minutes)
    )


def times(at: datetime, timezone: str) -> str:
    """Return a moment in UTC and, where that is another, in the user's zone."""
    universal = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    local = _local(at, timezone)
    return universal if timezone == "UTC" else f"{universal} ({local:%m-%d %H:%M:%S} {timezone})"


def _template(alert: AlertRaised, language: Language) -> Template:
    if "trial" in alert.parameters:
        return TRIAL[language]
    template = TEMPLATES[language][alert.alert_type]
    return ALL_CLEAR[language].get(alert.alert_type, template) if alert.severity is Severity.INFO else template


def _first(templates: Sequence[str], values: Mapping[str, str]) -> str:
    usable = next((template for template in templates if _fields(template) <= values.keys()), "{message}")
    return usable.format_map(values)


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _local(at: datetime, timezone: str) -> datetime:
    return at.astimezone(UTC if timezone == "UTC" else ZoneInfo(timezone))


def _shortened(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"
