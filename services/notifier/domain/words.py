"""The words of notifications in every language.

Invariant: every language has the same templates with the same values, and each template says what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from libs.common.contracts.vocabulary import AlertType

Language = Literal["en", "ko"]


@dataclass(frozen=True, slots=True)
class Template:
    """What one type of alert says in one language.

    Attributes:
        title: What happened, without values.
        bodies: The fullest first; the first one whose values are all known is used.
        advice: What to do, chosen likewise.
    """

    title: str
    bodies: tuple[str, ...]
    advice: tuple[str, ...]


TEMPLATES: Final[Mapping[Language, Mapping[AlertType, Template]]] = {
    "en": {
        AlertType.TRADE_EXECUTED: Template(
            "Trade executed",
            ("{side} {quantity} {symbol} at {price}", "{side} {quantity} {symbol}"),
            ("Nothing to do: `trader fills` lists it.",),
        ),
        AlertType.PROFIT_TARGET_HIT: Template(
            "Profit target reached",
            ("Sold {quantity} {symbol} at {price}, profit {pnl}", "Sold {quantity} {symbol} at {price}"),
            ("Nothing to do: `trader positions` shows what is left.",),
        ),
        AlertType.STOP_LOSS_HIT: Template(
            "Stop-loss executed",
            ("Sold {quantity} {symbol} at {price}, result {pnl}", "Sold {quantity} {symbol} at {price}"),
            ("Nothing to do: `trader performance` shows the day.",),
        ),
        AlertType.DAILY_LOSS_WARNING: Template(
            "Daily loss warning",
            (
                "The loss of the day is {loss_pct} %; trading halts at {limit_pct} %",
                "The loss of the day is {loss}; trading halts at {limit}",
            ),
            ("`trader stop` opens no more positions; `trader halt --reason TEXT` stops everything.",),
        ),
        AlertType.SYSTEM_ERROR: Template(
            "System error",
            ("{alertname}: {summary}: {description}", "{alertname}: {summary}", "{component}: {message}"),
            ("What to do: {runbook_url}", "`trader doctor` looks at everything; docs/runbook.md says what to do."),
        ),
        AlertType.API_CONNECTION_LOST: Template(
            "Connection to the exchange lost",
            ("{component}: {message}",),
            ("Nothing is entered meanwhile, stops stand at the exchange. If it lasts: `trader doctor`.",),
        ),
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
            ("`trader alerts ack {id}` says that you know; `trader status` says why and what is held.",),
        ),
    },
    "ko": {
        AlertType.TRADE_EXECUTED: Template(
            "거래 체결",
            ("{symbol} {quantity} {side}, 체결가 {price}", "{symbol} {quantity} {side}"),
            ("조치할 것은 없습니다. `trader fills`에서 볼 수 있습니다.",),
        ),
        AlertType.PROFIT_TARGET_HIT: Template(
            "목표 수익 도달",
            ("{symbol} {quantity} 매도, 체결가 {price}, 수익 {pnl}", "{symbol} {quantity} 매도, 체결가 {price}"),
            ("조치할 것은 없습니다. 남은 포지션은 `trader positions`에서 볼 수 있습니다.",),
        ),
        AlertType.STOP_LOSS_HIT: Template(
            "손절매 실행",
            ("{symbol} {quantity} 매도, 체결가 {price}, 손익 {pnl}", "{symbol} {quantity} 매도, 체결가 {price}"),
            ("조치할 것은 없습니다. 오늘의 손익은 `trader performance`에서 볼 수 있습니다.",),
        ),
        AlertType.DAILY_LOSS_WARNING: Template(
            "일일 손실 경고",
            (
                "오늘 손실이 {loss_pct} %입니다. {limit_pct} %에서 거래가 중지됩니다",
                "오늘 손실이 {loss}입니다. {limit}에서 거래가 중지됩니다",
            ),
            ("`trader stop`은 새 진입만 멈추고, `trader halt --reason 사유`는 모두 멈춥니다.",),
        ),
        AlertType.SYSTEM_ERROR: Template(
            "시스템 오류",
            ("{alertname}: {summary}: {description}", "{alertname}: {summary}", "{component}: {message}"),
            ("조치 방법: {runbook_url}", "`trader doctor`로 점검하십시오. 조치 방법은 docs/runbook.md에 있습니다."),
        ),
        AlertType.API_CONNECTION_LOST: Template(
            "거래소 연결 끊김",
            ("{component}: {message}",),
            ("그동안 새로 진입하지 않으며 손절 주문은 거래소에 있습니다. 오래가면 `trader doctor`로 점검하십시오.",),
        ),
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
            ("`trader alerts ack {id}`로 확인했음을 알리십시오. 이유와 보유 상태는 `trader status`에 있습니다.",),
        ),
    },
}

ALL_CLEAR: Final[Mapping[Language, Mapping[AlertType, Template]]] = {
    "en": {
        AlertType.SYSTEM_ERROR: Template(
            "System error settled",
            ("{alertname}: {summary} (until {resolved_at})", "{alertname}: {summary}", "{component}: {message}"),
            ("Nothing to do.",),
        ),
        AlertType.API_CONNECTION_LOST: Template(
            "Connection to the exchange restored", ("{component}: {message}",), ("Nothing to do.",)
        ),
        AlertType.EMERGENCY_STOP: Template(
            "Emergency stop lifted",
            ("{message}",),
            ("`trader status` shows the state; from REDUCING `trader start` lets it open positions again.",),
        ),
    },
    "ko": {
        AlertType.SYSTEM_ERROR: Template(
            "시스템 오류 해소",
            ("{alertname}: {summary} ({resolved_at}까지)", "{alertname}: {summary}", "{component}: {message}"),
            ("조치할 것은 없습니다.",),
        ),
        AlertType.API_CONNECTION_LOST: Template(
            "거래소 연결 복구", ("{component}: {message}",), ("조치할 것은 없습니다.",)
        ),
        AlertType.EMERGENCY_STOP: Template(
            "긴급 정지 해제",
            ("{message}",),
            ("`trader status`로 상태를 확인하십시오. REDUCING이면 `trader start`로 다시 진입할 수 있습니다.",),
        ),
    },
}
"""The specification has no types for good news: an alert of one of these types and of severity INFO is its end."""

TRIAL: Final[Mapping[Language, Template]] = {
    "en": Template("Test message", ("Somebody tries the channels: {message}",), ("Nothing to do: nothing happened.",)),
    "ko": Template("시험 메시지", ("채널 시험입니다: {message}",), ("조치할 것은 없습니다.",)),
}
"""What `trader notify test` sends: an alert with the parameter `trial`."""

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

SUMMARY: Final[Mapping[Language, tuple[str, str]]] = {
    "en": ("{count} notifications that were held back", "and {count} more ({types}): `trader alerts`"),
    "ko": ("보류된 알림 {count}건", "외 {count}건 ({types}): `trader alerts`"),
}
"""The title of what was held, and what is said of those for which there is no room."""

UNANSWERED: Final[Mapping[Language, tuple[str, str]]] = {
    "en": ("Not acknowledged: {title}", "{body}\nNobody has acknowledged this for {minutes} min."),
    "ko": ("미확인: {title}", "{body}\n{minutes}분 동안 아무도 확인하지 않았습니다."),
}
"""Title and body of a reminder."""
