"""The words of a notification, in every language, from an alert's type and parameters.

A template is used only when every value it needs is there; the last resort is the alert's own English message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final, Literal

from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity

Language = Literal["en", "ko"]

TITLE_CHARACTERS_MAX: Final = 200
BODY_CHARACTERS_MAX: Final = 3_000


@dataclass(frozen=True, slots=True)
class Text:
    """A notification's words."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Template:
    """What one type of alert says in one language.

    Attributes:
        title: What happened, without values.
        bodies: The fullest first; the first one whose values are all known is used.
    """

    title: str
    bodies: tuple[str, ...]


TEMPLATES: Final[Mapping[Language, Mapping[AlertType, Template]]] = {
    "en": {
        AlertType.TRADE_EXECUTED: Template(
            "Trade executed", ("{side} {quantity} {symbol} at {price}", "{side} {quantity} {symbol}")
        ),
        AlertType.PROFIT_TARGET_HIT: Template(
            "Profit target reached",
            ("Sold {quantity} {symbol} at {price}, profit {pnl}", "Sold {quantity} {symbol} at {price}"),
        ),
        AlertType.STOP_LOSS_HIT: Template(
            "Stop-loss executed",
            ("Sold {quantity} {symbol} at {price}, result {pnl}", "Sold {quantity} {symbol} at {price}"),
        ),
        AlertType.DAILY_LOSS_WARNING: Template(
            "Daily loss warning",
            (
                "The loss of the day is {loss_pct} %; trading halts at {limit_pct} %",
                "The loss of the day is {loss}; trading halts at {limit}",
            ),
        ),
        AlertType.SYSTEM_ERROR: Template("System error", ("{component}: {message}",)),
        AlertType.API_CONNECTION_LOST: Template("Connection to the exchange lost", ("{component}: {message}",)),
        AlertType.EMERGENCY_STOP: Template(
            "Emergency stop",
            (
                (
                    "No more positions are opened: the equity fell {drawdown} below its peak of {peak}. "
                    "Look at `trader performance`; `trader start` goes on"
                ),
                (
                    "No more positions are opened: {losing_trips} round trips in a row lost. "
                    "Look at `trader performance`; `trader start` goes on"
                ),
                "Trading is halted ({trigger}): {reason}",
                "Trading is halted: {message}",
            ),
        ),
    },
    "ko": {
        AlertType.TRADE_EXECUTED: Template(
            "거래 체결", ("{symbol} {quantity} {side}, 체결가 {price}", "{symbol} {quantity} {side}")
        ),
        AlertType.PROFIT_TARGET_HIT: Template(
            "목표 수익 도달",
            ("{symbol} {quantity} 매도, 체결가 {price}, 수익 {pnl}", "{symbol} {quantity} 매도, 체결가 {price}"),
        ),
        AlertType.STOP_LOSS_HIT: Template(
            "손절매 실행",
            ("{symbol} {quantity} 매도, 체결가 {price}, 손익 {pnl}", "{symbol} {quantity} 매도, 체결가 {price}"),
        ),
        AlertType.DAILY_LOSS_WARNING: Template(
            "일일 손실 경고",
            (
                "오늘 손실이 {loss_pct} %입니다. {limit_pct} %에서 거래가 중지됩니다",
                "오늘 손실이 {loss}입니다. {limit}에서 거래가 중지됩니다",
            ),
        ),
        AlertType.SYSTEM_ERROR: Template("시스템 오류", ("{component}: {message}",)),
        AlertType.API_CONNECTION_LOST: Template("거래소 연결 끊김", ("{component}: {message}",)),
        AlertType.EMERGENCY_STOP: Template(
            "긴급 정지",
            (
                (
                    "새 포지션을 열지 않습니다: 평가 자산이 최고점 {peak}에서 {drawdown} 떨어졌습니다. "
                    "`trader performance`를 확인한 뒤 `trader start`로 재개하십시오"
                ),
                (
                    "새 포지션을 열지 않습니다: {losing_trips}회 연속 손실입니다. "
                    "`trader performance`를 확인한 뒤 `trader start`로 재개하십시오"
                ),
                "거래가 중지되었습니다 ({trigger}): {reason}",
                "거래가 중지되었습니다: {message}",
            ),
        ),
    },
}

ALL_CLEAR: Final[Mapping[Language, Mapping[AlertType, Template]]] = {
    "en": {
        AlertType.SYSTEM_ERROR: Template("System error settled", ("{component}: {message}",)),
        AlertType.API_CONNECTION_LOST: Template("Connection to the exchange restored", ("{component}: {message}",)),
        AlertType.EMERGENCY_STOP: Template("Emergency stop lifted", ("{message}",)),
    },
    "ko": {
        AlertType.SYSTEM_ERROR: Template("시스템 오류 해소", ("{component}: {message}",)),
        AlertType.API_CONNECTION_LOST: Template("거래소 연결 복구", ("{component}: {message}",)),
        AlertType.EMERGENCY_STOP: Template("긴급 정지 해제", ("{message}",)),
    },
}
"""The specification has no types for good news: an alert of one of these types and of severity INFO is its end."""

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {"BUY": "Bought", "SELL": "Sold"},
    "ko": {
        "BUY": "매수",
        "SELL": "매도",
        "DAILY_LOSS_EXCEEDED": "일일 손실 한도 초과",
        "API_CONNECTION_LOST": "거래소 연결 끊김",
        "SYSTEM_ERROR": "시스템 오류",
        "MANUAL_STOP": "수동 정지",
    },
}
"""Values of closed vocabularies as people say them."""

REPEATS: Final[Mapping[Language, str]] = {
    "en": "{body} ({count} repetitions were held back)",
    "ko": "{body} (반복된 알림 {count}건 생략)",
}


def compose(alert: AlertRaised, language: Language, *, repeats_suppressed: int = 0) -> Text:
    """Return the words for an alert."""
    template = TEMPLATES[language][alert.alert_type]
    if alert.severity is Severity.INFO:
        template = ALL_CLEAR[language].get(alert.alert_type, template)
    words = WORDS[language]
    known = {
        "component": alert.component,
        "subject": alert.subject,
        "message": alert.message,
        **({"symbol": alert.symbol} if alert.symbol else {}),
        **({"account": alert.account} if alert.account else {}),
        **alert.parameters,
    }
    values = {name: words.get(value, value) for name, value in known.items()}
    usable = next((body for body in template.bodies if _fields(body) <= values.keys()), "{message}")
    body = usable.format_map(values)
    if repeats_suppressed:
        body = REPEATS[language].format(body=body, count=repeats_suppressed)
    place = alert.symbol or alert.account
    title = f"{template.title}: {place}" if place else template.title
    return Text(_shortened(title, TITLE_CHARACTERS_MAX), _shortened(body, BODY_CHARACTERS_MAX))


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _shortened(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"
