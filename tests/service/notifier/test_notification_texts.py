import uuid
from datetime import timedelta
from typing import Any, get_args

import pytest

from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger
from services.notifier.domain import texts
from services.notifier.domain.texts import BODY_CHARACTERS_MAX, Line, Text, remind, short_id, summarise
from services.notifier.domain.words import ALL_CLEAR, TEMPLATES, TRIAL, WORDS, Language
from tests.support.raw_records import AT

EVENT = uuid.UUID("3f2a9c1d-0000-5000-8000-000000000000")
EVERY_PARAMETER: dict[str, Any] = {
    "side": "BUY",
    "quantity": "0.01",
    "price": "61234.56",
    "pnl": "12.34 USDT",
    "loss_pct": "2.4",
    "limit_pct": "3.0",
    "trigger": "DAILY_LOSS_EXCEEDED",
    "reason": "the limit was reached",
}


def an_alert(
    alert_type: AlertType,
    *,
    symbol: str | None = "BTC/USDT",
    severity: Severity = Severity.WARNING,
    **parameters: str,
) -> AlertRaised:
    return AlertRaised(
        occurred_at=AT,
        alert_type=alert_type,
        severity=severity,
        component="risk_manager",
        subject="subject",
        message="what happened, in English",
        symbol=symbol,
        account="main",
        parameters=parameters,
    )


def compose(alert: AlertRaised, language: Language, **how: Any) -> Text:
    return texts.compose(alert, language, event_id=EVENT, **how)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("alert_type", list(AlertType))
def test_every_alert_type_has_words_in_every_language_with_and_without_its_values(language, alert_type):
    full = compose(an_alert(alert_type, **EVERY_PARAMETER), language)
    bare = compose(an_alert(alert_type, symbol=None), language)

    assert full.title == f"{TEMPLATES[language][alert_type].title}: BTC/USDT"
    assert full.body
    assert "{" not in full.body
    assert "what happened, in English" in bare.body


def test_the_languages_have_the_same_templates_with_the_same_values():
    english, korean = TEMPLATES["en"], TEMPLATES["ko"]

    assert set(english) == set(korean) == set(AlertType)
    for alert_type in AlertType:
        assert len(english[alert_type].bodies) == len(korean[alert_type].bodies)
        assert len(english[alert_type].advice) == len(korean[alert_type].advice) > 0
        assert english[alert_type].title != korean[alert_type].title


def test_every_emergency_trigger_has_a_korean_word():
    assert {trigger.value for trigger in StopTrigger} <= set(WORDS["ko"])


@pytest.mark.parametrize(
    ("language", "title", "body"),
    [
        ("en", "Trade executed: BTC/USDT", "Bought 0.01 BTC/USDT at 61234.56"),
        ("ko", "거래 체결: BTC/USDT", "BTC/USDT 0.01 매수, 체결가 61234.56"),
    ],
)
def test_a_trade_reads_as_people_say_it(language: Language, title: str, body: str):
    text = compose(an_alert(AlertType.TRADE_EXECUTED, side="BUY", quantity="0.01", price="61234.56"), language)

    assert (text.title, text.body.splitlines()[0]) == (title, body)


@pytest.mark.parametrize(("language", "words"), [("en", "3 repetitions"), ("ko", "3건")])
def test_held_back_repetitions_are_counted_in_the_text(language: Language, words: str):
    assert words in compose(an_alert(AlertType.SYSTEM_ERROR), language, repeats_suppressed=3).body


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "Connection to the exchange restored: BTC/USDT"), ("ko", "거래소 연결 복구: BTC/USDT")],
)
def test_the_end_of_a_trouble_reads_as_its_end(language: Language, title: str):
    alert = an_alert(AlertType.API_CONNECTION_LOST, severity=Severity.INFO)

    assert compose(alert, language).title == title


def test_good_news_has_words_in_every_language():
    assert set(ALL_CLEAR["en"]) == set(ALL_CLEAR["ko"])


def test_values_are_never_read_as_templates():
    text = compose(an_alert(AlertType.EMERGENCY_STOP, trigger="MANUAL_STOP", reason="{0.__class__} {x}"), "en")

    assert "{0.__class__} {x}" in text.body


def test_long_texts_are_cut():
    text = compose(an_alert(AlertType.EMERGENCY_STOP, trigger="MANUAL_STOP", reason="x" * 9_000), "ko")

    assert len(text.body.splitlines()[0]) == BODY_CHARACTERS_MAX


@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize("alert_type", list(AlertType))
@pytest.mark.parametrize("severity", list(Severity))
def test_every_message_says_what_to_do_and_carries_id_and_times(language, alert_type, severity):
    body = compose(an_alert(alert_type, severity=severity), language, timezone="Asia/Seoul").body

    assert body.splitlines()[1:] == [
        body.splitlines()[1],
        "id 3f2a9c1d · 2026-01-05 12:00:00 UTC (01-05 21:00:00 Asia/Seoul)",
    ]
    assert len(body.splitlines()[1]) > 5


def test_an_emergency_says_how_to_acknowledge_it():
    assert "`trader alerts ack 3f2a9c1d`" in compose(an_alert(AlertType.EMERGENCY_STOP), "en").body
    assert "`trader alerts ack 3f2a9c1d`" in compose(an_alert(AlertType.EMERGENCY_STOP), "ko").body


def test_an_alert_of_another_monitor_says_where_its_runbook_is():
    alert = an_alert(
        AlertType.SYSTEM_ERROR,
        alertname="KafkaDown",
        summary="no broker answers",
        runbook_url="https://example.org/kafka",
    )

    assert compose(alert, "en").body.splitlines()[:2] == [
        "KafkaDown: no broker answers",
        "What to do: https://example.org/kafka",
    ]


def test_a_trial_says_that_nothing_happened():
    assert (
        compose(an_alert(AlertType.SYSTEM_ERROR, symbol=None, trial="yes"), "en").title == f"{TRIAL['en'].title}: main"
    )


def test_a_summary_lists_each_alert_with_its_id_and_counts_those_without_room():
    lines = [
        Line(
            event_id=uuid.UUID(int=number << 96),
            occurred_at=AT + timedelta(minutes=number),
            alert_type="TRADE_EXECUTED",
            title="Trade executed: BTC/USDT",
        )
        for number in range(100)
    ]

    few, many = summarise(lines[:2], "en", timezone="Asia/Seoul"), summarise(lines, "ko", timezone="UTC")

    assert few == Text(
        "2 notifications that were held back",
        "01-05 21:00 [00000000] Trade executed: BTC/USDT\n01-05 21:01 [00000001] Trade executed: BTC/USDT",
    )
    *told, rest = many.body.splitlines()
    assert len(many.body) < 1_800
    assert rest == f"외 {100 - len(told)}건 (TRADE_EXECUTED {100 - len(told)}): `trader alerts`"


def test_a_reminder_says_for_how_long_nobody_answered():
    assert remind(Text("Emergency stop", "Trading is halted"), "en", minutes=20) == Text(
        "Not acknowledged: Emergency stop", "Trading is halted\nNobody has acknowledged this for 20 min."
    )


def test_a_short_id_is_the_start_of_the_event_id():
    assert short_id(EVENT) == "3f2a9c1d"
