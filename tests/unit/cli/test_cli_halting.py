"""What `trader halt` and `trader resume` say of what came of them."""

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cli.commands.state import _report
from cli.errors import CommandError, ExitStatus
from cli.operating import Outcome
from libs.common.contracts.events import CommandAcknowledged
from libs.common.contracts.events.control import CommandName
from libs.common.contracts.vocabulary import TradingState
from libs.common.control.commands import issue_command
from libs.common.control.operators import OperatorKey

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
KEY = OperatorKey.generate()


def an_outcome(
    command: CommandName = "HALT",
    *,
    note: str = "",
    clears: tuple[str, ...] = (),
    liquidate: bool = False,
    refused: bool = False,
    **changes: Any,
) -> Outcome:
    signed = issue_command(
        command,
        account="main",
        reason="drill",
        issuer="me",
        key=KEY,
        command_id=uuid.UUID(int=1),
        now=NOW,
        clears=clears,
        liquidate=liquidate,
    )
    answers = [
        CommandAcknowledged(
            occurred_at=NOW,
            command_id=signed.command_id,
            command=command,
            account="main",
            accepted=not refused or component == "trade_executor",
            component=component,
            path="kafka",
            state=TradingState.HALTED,
            reason=note,
        )
        for component in ("risk_manager", "trade_executor")
    ]
    fields = {"paths": ["file"], "failed_paths": {}, "answers": answers, "acknowledged_ms": 40, "verified_ms": 1_400}
    return Outcome(command=signed, **{**fields, **changes})


def test_a_halt_that_sold_everything_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    _report(an_outcome(flat=True), "everything of main", as_json=True)

    content = json.loads(capsys.readouterr().out)
    assert (content["verified_ms"], content["flat"], content["positions_left"]) == (1_400, True, [])


def test_a_halt_that_has_not_sold_everything_in_time_names_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    left = [{"symbol": "BTC/USDT", "quantity": Decimal("0.004")}]

    with pytest.raises(CommandError, match=r"found BTC/USDT 0\.004") as failed:
        _report(an_outcome(flat=False, positions_left=left, verified_ms=None), "everything of main", as_json=True)

    assert failed.value.status is ExitStatus.TIMED_OUT
    assert json.loads(capsys.readouterr().out)["positions_left"] == [{"symbol": "BTC/USDT", "quantity": "0.004"}]


def test_a_halt_that_is_not_verified_yet_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    _report(an_outcome(verified_ms=None), "everything of main", as_json=False)

    assert "not proven yet that no entry is left" in capsys.readouterr().err


def test_a_resume_says_what_it_cleared_and_what_is_still_latched(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = an_outcome("RESUME", clears=("a",), note="cleared: a; still latched: b, c")

    _report(outcome, "a of main", as_json=True)

    content = json.loads(capsys.readouterr().out)
    assert (content["cleared"], content["still_latched"]) == (["a"], ["b", "c"])
    assert "flat" not in content


@pytest.mark.parametrize(("liquidate", "told"), [(True, "halted unsigned, not liquidated;"), (False, "unsigned;")])
def test_a_latched_halt_whose_signature_is_refused_is_told_as_a_halt(*, liquidate: bool, told: str) -> None:
    outcome = an_outcome(note="UNKNOWN_KEY", refused=True, liquidate=liquidate)

    with pytest.raises(CommandError, match=told) as failed:
        _report(outcome, "everything of main", as_json=True)

    assert "the signature was refused: UNKNOWN_KEY" in failed.value.message


def test_a_halt_that_only_kafka_carried_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="HALT was refused: UNKNOWN_KEY"):
        _report(an_outcome(note="UNKNOWN_KEY", refused=True, paths=["kafka"]), "everything of main", as_json=False)

    assert capsys.readouterr().out == ""


def test_a_resume_that_nobody_answered_has_cleared_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = an_outcome("RESUME", clears=("a",), answers=(), acknowledged_ms=None)

    with pytest.raises(CommandError, match="expected an answer of risk_manager") as failed:
        _report(outcome, "a of main", as_json=True)

    assert failed.value.status is ExitStatus.TIMED_OUT
    assert json.loads(capsys.readouterr().out)["cleared"] == []
