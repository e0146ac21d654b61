"""RESUME: hard where HALT is easy. What may be cleared, and what is said of it."""

from datetime import datetime

from libs.common.contracts.events import ControlCommanded
from services.risk_manager.domain.resuming import ResumeRefusal, resume_refusal
from services.risk_manager.domain.telling import told
from services.risk_manager.domain.trading_state import AccountState, TransitionRefusal
from services.risk_manager.service.policy import Conditions
from services.risk_manager.service.ports import RiskRecords


async def resumed(
    command: ControlCommanded, before: AccountState, records: RiskRecords, *, conditions: Conditions, now: datetime
) -> AccountState | tuple[TransitionRefusal | ResumeRefusal, str]:
    """Return the state without the halts that a command names, or why it must stay.

    Raises:
        RetryableError: Nobody can say what our books and the exchange disagree on.
    """
    outcome = before.resumed(
        command.clears,
        persisting=await conditions.persisting(command.account, records),
        reason=command.reason,
        issuer=command.issuer,
        now=now,
    )
    if isinstance(outcome, tuple):
        return outcome
    refusal = resume_refusal(
        [halt for halt in before.halts if halt.halt_id in command.clears],
        await conditions.differences(command.account),
        symbol=command.scope_symbol,
        strategy=command.scope_strategy,
    )
    return outcome if refusal is None else refusal


def told_resumption(before: AccountState, after: AccountState) -> str:
    """Return which halts a RESUME settled and which are still latched."""
    remaining = [halt.halt_id for halt in after.halts]
    cleared = [halt.halt_id for halt in before.halts if halt.halt_id not in remaining]
    return f"cleared: {told(cleared)}" + (f"; still latched: {told(remaining)}" if remaining else "")
