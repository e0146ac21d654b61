from typing import Any

import pytest

from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger
from services.notifier.domain.texts import ALL_CLEAR, BODY_CHARACTERS_MAX, TEMPLATES, WORDS, Language, compose
from tests.support.raw_records import AT

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

    assert (text.title, text.body) == (title, body)


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

    assert len(text.body) == BODY_CHARACTERS_MAX
