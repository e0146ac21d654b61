"""Rows of the risk manager's tables and what they stand for; money comes back digit for digit."""

from decimal import Decimal

from asyncpg import Record

from libs.common.configuration.changes import stored_configuration
from libs.common.contracts.events import OrderApproved, OrderRefused
from libs.common.contracts.vocabulary import Role, Side, StopTrigger
from libs.common.control.halts import HaltRecord
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.domain.configuration import ConfigurationVersion
from services.risk_manager.domain.figures import StoredMark
from services.risk_manager.domain.trading_state import AccountState, ReducingCause
from services.risk_manager.service.ports import DecisionFacts


def claim_of(row: Record) -> Claim:
    """Return a stored claim."""
    return Claim(**{**row, "side": Side(row["side"]), "role": Role(row["role"]), "phase": Phase(row["phase"])})


def position_of(row: Record) -> HeldPosition:
    """Return a stored position."""
    return HeldPosition(
        account=row["account"],
        symbol=row["symbol"],
        revision=row["revision"],
        quantity=row["quantity"],
        cost=row["cost"],
        round_trips=row["round_trips"],
        strategy=row["strategy"],
        is_open=row["is_open"],
        bought=row["bought"],
    )


def mark_of(row: Record) -> StoredMark:
    """Return a stored mark."""
    return StoredMark(
        account=row["account"],
        equity=row["equity"],
        confirmed=row["confirmed"],
        marked_at=row["marked_at"],
        day=row["day"],
        day_start_equity=row["day_start_equity"],
        peak_24h=row["peak_24h"],
        quote_free=row["quote_free"],
        bids={symbol: Decimal(bid) for symbol, bid in row["bids"].items()},
    )


def state_of(row: Record) -> AccountState:
    """Return a stored trading state with its latched halts."""
    return AccountState(
        account=row["account"],
        since=row["since"],
        wants_active=row["wants_active"],
        causes=frozenset(ReducingCause(cause) for cause in row["causes"]),
        halts=tuple(HaltRecord.model_validate(record) for record in row["latched"]),
        halt_epoch=row["halt_epoch"],
        revision=row["revision"],
        trigger=StopTrigger(row["trigger"]) if row["trigger"] else None,
        reason=row["reason"],
        issuer=row["issuer"],
    )


def configuration_of(row: Record) -> ConfigurationVersion:
    """Return a stored version of the configuration."""
    return ConfigurationVersion(
        version=row["version"],
        sourced=stored_configuration(row["configuration"], row["origins"], version=row["version"]),
        created_at=row["created_at"],
        changes=tuple(row["changes"]),
        loosened=tuple(row["loosened"]),
        issuer=row["issuer"],
        reason=row["reason"],
        command_id=row["command_id"],
    )


def claim_values(claim: Claim) -> tuple[object, ...]:
    """Return a claim in the order of its statement's parameters."""
    return (
        claim.account,
        claim.intent_id,
        claim.signal_id,
        claim.strategy,
        claim.symbol,
        claim.side,
        claim.role,
        claim.phase,
        claim.notional,
        claim.quantity,
        claim.filled_quantity,
        claim.filled_amount,
        claim.revision,
        claim.round_trips,
        claim.bought_before,
        claim.approved_at,
        claim.updated_at,
    )


def decision_values(answer: OrderApproved | OrderRefused, facts: DecisionFacts) -> tuple[object, ...]:
    """Return a decision in the order of its statement's parameters."""
    approved = answer if isinstance(answer, OrderApproved) else None
    refused = answer if isinstance(answer, OrderRefused) else None
    return (
        answer.account,
        answer.signal_id,
        approved is not None,
        answer.strategy,
        answer.symbol,
        answer.side,
        answer.role,
        refused.reason if refused else "",
        refused.limit if refused else "",
        refused.observed if refused else "",
        approved.intent_id if approved else None,
        approved.quantity if approved else None,
        approved.limit_price if approved else None,
        approved.reference_price if approved else None,
        approved.stop_loss if approved else None,
        approved.take_profit if approved else None,
        facts.notional,
        approved.expires_at if approved else None,
        facts.state,
        facts.halt_epoch,
        facts.risk_epoch,
        facts.configuration_version,
        facts.configuration_hash,
        dict(facts.inputs),
        answer.occurred_at,
    )
