"""How a change of the trading state is told: answers to commands and alerts for people."""

from datetime import datetime
from typing import Final

from libs.common.contracts.events import AlertRaised, CommandAcknowledged, ControlCommanded
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.vocabulary import AlertType, Severity, TradingState
from libs.common.control.halting import HaltPath
from libs.common.control.halts import HaltRecord
from services.risk_manager.domain.trading_state import AccountState

COMPONENT: Final = "risk_manager"


def acknowledged(
    command: ControlCommanded, state: TradingState, path: HaltPath, *, refusal: str, now: datetime, note: str = ""
) -> CommandAcknowledged:
    """Return the answer to a command; an empty refusal accepts it, and a note says what came of it."""
    return CommandAcknowledged(
        occurred_at=now,
        command_id=command.command_id,
        command=command.command,
        account=command.account,
        accepted=not refusal,
        component=COMPONENT,
        path=path,
        state=state,
        reason=(refusal or note)[:TEXT_CHARACTERS_MAX],
    )


def halt_alert(halt: HaltRecord, state: AccountState, *, now: datetime) -> AlertRaised:
    """Return the alert that something was halted."""
    scope = halt.scope_symbol or halt.scope_strategy or "everything"
    return AlertRaised(
        occurred_at=now,
        alert_type=AlertType.EMERGENCY_STOP,
        severity=Severity.CRITICAL,
        component=COMPONENT,
        subject=halt.halt_id,
        message=f"halted {scope} of {state.account}: {halt.trigger}: {halt.reason}"[:TEXT_CHARACTERS_MAX],
        parameters={
            "trigger": halt.trigger.value,
            "reason": halt.reason[:500],
            "issuer": halt.issuer,
            "halt_id": halt.halt_id,
            "state": state.state.value,
        },
        account=state.account,
        symbol=halt.scope_symbol,
    )


def resumption_alert(state: AccountState, *, now: datetime) -> AlertRaised:
    """Return the alert that nothing stands any more that an account was stopped for."""
    return AlertRaised(
        occurred_at=now,
        alert_type=AlertType.EMERGENCY_STOP,
        severity=Severity.INFO,
        component=COMPONENT,
        subject=f"{state.account}|{state.revision}",
        message=f"resumed {state.account} to {state.state} by {state.issuer}: {state.reason}"[:TEXT_CHARACTERS_MAX],
        parameters={"state": state.state.value, "reason": state.reason[:500], "issuer": state.issuer},
        account=state.account,
    )
