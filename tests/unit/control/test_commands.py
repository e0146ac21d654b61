import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.contracts.events import ControlCommanded
from libs.common.control.commands import (
    CLOCK_TOLERANCE,
    LIFETIME_MAX,
    CommandHistory,
    CommandRefusal,
    issue_command,
    sign,
    verify,
)
from libs.common.control.operators import OperatorKey, OperatorRole, Operators

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
ALICE = OperatorKey.generate()
WATCHDOG = OperatorKey.generate()
OPERATORS = (
    Operators({}).with_key(ALICE, issuer="alice").with_key(WATCHDOG, issuer="watchdog", role=OperatorRole.WATCHDOG)
)


def a_command(command: str = "RESUME", **changes: Any) -> ControlCommanded:
    fields: dict[str, Any] = {
        "command": command,
        "account": "main",
        "reason": "checked",
        "issuer": "alice",
        "key": ALICE,
        "command_id": uuid.UUID(int=1),
        "now": NOW,
    }
    return issue_command(**{**fields, **changes})


def refusal(
    command: ControlCommanded, *, now: datetime = NOW, seen: bool = False, sequence_last: int = -1
) -> CommandRefusal | None:
    history = CommandHistory(seen=seen, sequence_last=sequence_last)
    return verify(command, operators=OPERATORS, accounts=("main",), now=now, history=history)


@pytest.mark.parametrize("command", ["HALT", "RESUME", "START", "STOP"])
def test_a_fresh_signed_command_is_accepted(command: str) -> None:
    assert refusal(a_command(command)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"command": "START"},
        {"account": "other"},
        {"reason": "else"},
        {"issuer": "bob"},
        {"liquidate": True},
        {"clears": ("x",)},
        {"scope_symbol": "BTC/USDT"},
        {"sequence": 0},
        {"expires_at": NOW + timedelta(hours=1)},
        {"command_id": uuid.UUID(int=2)},
        {"signature": ""},
    ],
)
@pytest.mark.parametrize("command", ["HALT", "RESUME"])
def test_a_command_changed_after_signing_is_forged(command: str, change: dict[str, Any]) -> None:
    forged = a_command(command).model_copy(update=change)

    assert refusal(forged) is CommandRefusal.BAD_SIGNATURE


def test_a_signature_of_another_key_is_forged() -> None:
    stranger = OperatorKey.generate()
    forged = sign(a_command(), stranger)

    assert refusal(forged) is CommandRefusal.BAD_SIGNATURE


def test_a_command_of_an_unknown_key_is_refused() -> None:
    assert refusal(a_command("HALT", key=OperatorKey.generate())) is CommandRefusal.UNKNOWN_KEY


@pytest.mark.parametrize("command", ["HALT", "RESUME"])
def test_a_command_for_an_account_that_is_not_served_is_out_of_scope(command: str) -> None:
    assert refusal(a_command(command, account="other")) is CommandRefusal.OUT_OF_SCOPE


def test_the_watchdog_may_halt_but_not_resume() -> None:
    assert refusal(a_command("HALT", key=WATCHDOG, issuer="watchdog")) is None
    assert refusal(a_command("RESUME", key=WATCHDOG, issuer="watchdog")) is CommandRefusal.OUT_OF_SCOPE


def test_a_key_cannot_speak_in_another_issuers_name() -> None:
    assert refusal(a_command("HALT", issuer="bob")) is CommandRefusal.OUT_OF_SCOPE


@pytest.mark.parametrize("command", ["HALT", "RESUME", "START", "STOP"])
def test_a_command_seen_before_is_replayed(command: str) -> None:
    assert refusal(a_command(command), seen=True) is CommandRefusal.REPLAYED


def test_a_command_expires_at_exactly_its_expiry() -> None:
    command = a_command(lifetime=timedelta(seconds=10))

    assert refusal(command, now=NOW + timedelta(seconds=10) - timedelta(microseconds=1)) is None
    assert refusal(command, now=NOW + timedelta(seconds=10)) is CommandRefusal.EXPIRED


def test_a_command_must_not_live_longer_than_thirty_seconds() -> None:
    assert refusal(a_command(lifetime=LIFETIME_MAX)) is None
    assert refusal(a_command(lifetime=LIFETIME_MAX + timedelta(microseconds=1))) is CommandRefusal.LIFETIME_TOO_LONG


def test_a_command_from_the_future_is_refused_beyond_the_clocks_tolerance() -> None:
    assert refusal(a_command(now=NOW + CLOCK_TOLERANCE)) is None
    late = a_command(now=NOW + CLOCK_TOLERANCE + timedelta(microseconds=1))
    assert refusal(late) is CommandRefusal.ISSUED_IN_THE_FUTURE


def test_a_sequence_must_rise() -> None:
    command = a_command()

    assert refusal(command, sequence_last=command.sequence - 1) is None
    assert refusal(command, sequence_last=command.sequence) is CommandRefusal.OLD_SEQUENCE


@pytest.mark.parametrize("now", [NOW + timedelta(days=30), NOW - timedelta(days=30)])
def test_a_halt_is_accepted_whatever_its_age_sequence_and_the_clock(now: datetime) -> None:
    halt = a_command("HALT", lifetime=timedelta(days=1))

    assert refusal(halt, now=now, sequence_last=halt.sequence + 1) is None


def test_the_sequence_is_the_time_of_issue_in_microseconds() -> None:
    assert a_command().sequence == round(NOW.timestamp()) * 1_000_000 + 123_456


def test_a_command_survives_the_wire() -> None:
    command = a_command("HALT", symbol="BTC/USDT", strategy="ema_cross", liquidate=True)

    assert refusal(ControlCommanded.model_validate_json(command.model_dump_json())) is None
