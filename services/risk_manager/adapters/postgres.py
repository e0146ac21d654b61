"""The risk state in Postgres, within one transaction of the owner."""

import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from asyncpg import Record

from libs.common.contracts.events import ControlCommanded, EquityMarked, OrderApproved, OrderRefused
from libs.common.contracts.vocabulary import Role, Side, StopTrigger
from libs.common.control.commands import CommandHistory
from libs.common.control.halts import HaltRecord
from libs.common.storage.transaction import Transaction, Write
from services.risk_manager.adapters import statements
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.domain.figures import AccountSnapshot, RecentOrders, StoredMark
from services.risk_manager.domain.trading_state import AccountState, ReducingCause
from services.risk_manager.service.ports import DecisionFacts

_RATE_WINDOW: Final = timedelta(minutes=1)
_DUPLICATE_WINDOW_MAX: Final = timedelta(hours=1)
"""The longest window for duplicates that can be configured."""


class PostgresRiskRecords:
    """Implements `RiskRecords`; money is written as numeric and comes back digit for digit."""

    def __init__(self, transaction: Transaction, *, after_commit: Callable[[Callable[[], None]], None]) -> None:
        self._transaction = transaction
        self._after_commit = after_commit

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Run `effect` once the transaction is durable."""
        self._after_commit(effect)

    async def snapshot(self, account: str, signal_id: str, *, now: datetime) -> AccountSnapshot:
        """Return everything stored that a decision on a signal looks at.

        Raises:
            LookupError: The account has no trading state: a bug, for recovery stores one before anything is handled.
        """
        row = await self._transaction.fetchrow(
            statements.SNAPSHOT, account, signal_id, now - _RATE_WINDOW, now - _DUPLICATE_WINDOW_MAX
        )
        if row is None:
            raise _no_state(account)
        return AccountSnapshot(
            decided=row["decided"],
            state=_state(row),
            mark=_mark(row["mark"]) if row["mark"] is not None else None,
            positions=[_position(held) for held in row["positions"] or ()],
            claims=[_claim(claim) for claim in row["claims"] or ()],
            recent=RecentOrders(
                orders_last_minute=row["orders_last_minute"],
                last_entries=dict(zip(row["symbols"] or (), row["entered_at"] or (), strict=True)),
            ),
        )

    async def save_refusal(self, answer: OrderRefused, facts: DecisionFacts) -> None:
        """Keep a refusal for ever."""
        await self._transaction.defer(Write(statements.SAVE_DECISION, _decision_values(answer, facts)))

    async def save_approval(self, answer: OrderApproved, facts: DecisionFacts, claim: Claim) -> None:
        """Keep an approval for ever, and what it claims."""
        await self._transaction.defer(
            Write(statements.SAVE_CLAIM, _claim_values(claim)),
            Write(statements.SAVE_DECISION, _decision_values(answer, facts)),
        )

    async def claim(self, intent_id: uuid.UUID) -> Claim | None:
        """Return the claim of an intent; None if it is no approval of ours."""
        row = await self._transaction.fetchrow(statements.CLAIM, intent_id)
        return None if row is None else _claim(row)

    async def open_claims(self, account: str) -> Sequence[Claim]:
        """Return every claim that is not released."""
        return [_claim(row) for row in await self._transaction.fetch(statements.OPEN_CLAIMS, account)]

    async def save_claim(self, claim: Claim) -> None:
        """Store a claim's absolute values."""
        await self._transaction.execute(statements.SAVE_CLAIM, *_claim_values(claim))

    async def positions(self, account: str) -> Sequence[HeldPosition]:
        """Return the account's positions, flat ones included."""
        return [_position(row) for row in await self._transaction.fetch(statements.POSITIONS, account)]

    async def save_position(self, position: HeldPosition, *, at: datetime) -> bool:
        """Store a position; False if a newer one is there."""
        saved = await self._transaction.returning(
            statements.SAVE_POSITION,
            position.account,
            position.symbol,
            position.revision,
            position.quantity,
            position.cost,
            position.round_trips,
            position.strategy,
            position.is_open,
            at,
        )
        return saved is not None

    async def mark(self, account: str) -> StoredMark | None:
        """Return the account's last equity mark."""
        row = await self._transaction.fetchrow(statements.MARK, account)
        return None if row is None else _mark(row)

    async def save_mark(self, mark: EquityMarked) -> bool:
        """Store the account's last equity mark; False if a newer one is there."""
        saved = await self._transaction.returning(
            statements.SAVE_MARK,
            mark.account,
            mark.equity,
            mark.confirmed,
            mark.occurred_at,
            mark.day,
            mark.day_start_equity,
            mark.peak_24h,
            mark.quote_free,
            mark.marks,
        )
        return saved is not None

    async def warn_once(self, account: str, day: date) -> bool:
        """Note that the day's warning was given; False if it was before."""
        return await self._transaction.returning(statements.WARN_ONCE, account, day) is not None

    async def find_state(self, account: str) -> AccountState | None:
        """Return the account's stored trading state with its latched halts; None before its first start."""
        row = await self._transaction.fetchrow(statements.STATE, account)
        return None if row is None else _state(row)

    async def state(self, account: str) -> AccountState:
        """Return the stored trading state of an account that was started before.

        Raises:
            LookupError: It has none: a bug, for recovery stores one before anything is handled.
        """
        state = await self.find_state(account)
        if state is None:
            raise _no_state(account)
        return state

    async def save_state(self, state: AccountState) -> None:
        """Store the state, its halts included; halts that it no longer has are marked as cleared."""
        await self._transaction.execute(
            statements.SAVE_STATE,
            state.account,
            state.state,
            state.wants_active,
            sorted(state.causes),
            state.halt_epoch,
            state.revision,
            state.since,
            state.trigger,
            state.reason,
            state.issuer,
        )
        halt_ids = [halt.halt_id for halt in state.halts]
        await self._transaction.execute(
            statements.CLEAR, state.account, halt_ids, state.since, state.issuer, state.reason
        )
        for halt in state.halts:
            await self._transaction.execute(
                statements.LATCH,
                state.account,
                halt.halt_id,
                halt.scope_symbol,
                halt.scope_strategy,
                halt.trigger,
                halt.reason,
                halt.issuer,
                halt.halted_at,
                halt.model_dump(mode="json"),
                state.since,
            )

    async def is_settled(self, account: str, halt_id: str) -> bool:
        """Tell whether a halt was latched and cleared before."""
        return await self._transaction.fetchval(statements.IS_SETTLED, account, halt_id) is not None

    async def command_history(self, command: ControlCommanded) -> CommandHistory:
        """Return what is remembered of a command and its key."""
        row = await self._transaction.fetchrow(statements.COMMAND_HISTORY, command.command_id, command.key_id)
        return CommandHistory(**dict(row or {}))

    async def save_command(self, command: ControlCommanded, *, refusal: str | None, path: str, at: datetime) -> None:
        """Remember a command that was handled."""
        await self._transaction.execute(
            statements.SAVE_COMMAND,
            command.command_id,
            command.account,
            command.command,
            command.issuer,
            command.key_id,
            command.sequence,
            command.reason,
            refusal,
            path,
            command.occurred_at,
            at,
        )


def _claim(row: Record) -> Claim:
    return Claim(**{**row, "side": Side(row["side"]), "role": Role(row["role"]), "phase": Phase(row["phase"])})


def _position(row: Record) -> HeldPosition:
    return HeldPosition(
        account=row["account"],
        symbol=row["symbol"],
        revision=row["revision"],
        quantity=row["quantity"],
        cost=row["cost"],
        round_trips=row["round_trips"],
        strategy=row["strategy"],
        is_open=row["is_open"],
    )


def _mark(row: Record) -> StoredMark:
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


def _state(row: Record) -> AccountState:
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


def _no_state(account: str) -> LookupError:
    return LookupError(f"expected a trading state of account {account!r}, found none")


def _claim_values(claim: Claim) -> tuple[object, ...]:
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
        claim.approved_at,
        claim.updated_at,
    )


def _decision_values(answer: OrderApproved | OrderRefused, facts: DecisionFacts) -> tuple[object, ...]:
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
