"""The risk state in Postgres, within one transaction of the owner."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from libs.common.contracts.events import (
    ControlCommanded,
    EquityMarked,
    OperatorKeyChanged,
    OrderApproved,
    OrderRefused,
)
from libs.common.control.commands import CommandHistory
from libs.common.storage.transaction import Transaction, Write
from libs.trading.risk import Setbacks
from services.risk_manager.adapters import statements
from services.risk_manager.adapters.rows import (
    claim_of,
    claim_values,
    configuration_of,
    decision_values,
    mark_of,
    position_of,
    state_of,
)
from services.risk_manager.domain.claims import Claim, HeldPosition
from services.risk_manager.domain.configuration import ConfigurationVersion
from services.risk_manager.domain.figures import AccountSnapshot, RecentOrders, StoredMark
from services.risk_manager.domain.trading_state import AccountState
from services.risk_manager.domain.trips import CountedSetbacks, Trips
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
            state=state_of(row),
            mark=mark_of(row["mark"]) if row["mark"] is not None else None,
            positions=[position_of(held) for held in row["positions"] or ()],
            claims=[claim_of(claim) for claim in row["claims"] or ()],
            recent=RecentOrders(
                orders_last_minute=row["orders_last_minute"],
                last_entries=dict(zip(row["symbols"] or (), row["entered_at"] or (), strict=True)),
            ),
        )

    async def save_refusal(self, answer: OrderRefused, facts: DecisionFacts) -> None:
        """Keep a refusal for ever."""
        await self._transaction.defer(Write(statements.SAVE_DECISION, decision_values(answer, facts)))

    async def save_approval(self, answer: OrderApproved, facts: DecisionFacts, claim: Claim) -> None:
        """Keep an approval for ever, and what it claims."""
        await self._transaction.defer(
            Write(statements.SAVE_CLAIM, claim_values(claim)),
            Write(statements.SAVE_DECISION, decision_values(answer, facts)),
        )

    async def claim(self, intent_id: uuid.UUID) -> Claim | None:
        """Return the claim of an intent; None if it is no approval of ours."""
        row = await self._transaction.fetchrow(statements.CLAIM, intent_id)
        return None if row is None else claim_of(row)

    async def open_claims(self, account: str) -> Sequence[Claim]:
        """Return every claim that is not released."""
        return [claim_of(row) for row in await self._transaction.fetch(statements.OPEN_CLAIMS, account)]

    async def save_claim(self, claim: Claim) -> None:
        """Store a claim's absolute values."""
        await self._transaction.execute(statements.SAVE_CLAIM, *claim_values(claim))

    async def bought_by_released(self, account: str, symbol: str, *, since: Decimal) -> Decimal:
        """Return what entries bought whose claims began at `since` or later and are released."""
        bought: Decimal = await self._transaction.fetchval(statements.BOUGHT_BY_RELEASED, account, symbol, since)
        return bought

    async def positions(self, account: str) -> Sequence[HeldPosition]:
        """Return the account's positions, flat ones included."""
        return [position_of(row) for row in await self._transaction.fetch(statements.POSITIONS, account)]

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
            position.bought,
            at,
        )
        return saved is not None

    async def mark(self, account: str) -> StoredMark | None:
        """Return the account's last equity mark."""
        row = await self._transaction.fetchrow(statements.MARK, account)
        return None if row is None else mark_of(row)

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

    async def setbacks(self, account: str) -> CountedSetbacks:
        """Return what is counted of the account's losses; nothing yet before the first."""
        row = await self._transaction.fetchrow(statements.SETBACKS, account)
        if row is None:
            return CountedSetbacks(account=account)
        setbacks = Setbacks(peak=row["peak"], losing_trips=row["losing_trips"])
        return CountedSetbacks(account=account, setbacks=setbacks, reached=row["reached"])

    async def save_setbacks(self, counted: CountedSetbacks) -> None:
        """Store it."""
        setbacks = counted.setbacks
        await self._transaction.execute(
            statements.SAVE_SETBACKS, counted.account, setbacks.peak, setbacks.losing_trips, counted.reached
        )

    async def trips(self, account: str, symbol: str) -> Trips | None:
        """Return the account's round trips in a symbol; None before the first position."""
        row = await self._transaction.fetchrow(statements.TRIPS, account, symbol)
        return None if row is None else Trips(**row)

    async def save_trips(self, trips: Trips) -> None:
        """Store them."""
        await self._transaction.execute(statements.SAVE_TRIPS, *astuple(trips))

    async def find_state(self, account: str) -> AccountState | None:
        """Return the account's stored trading state with its latched halts; None before its first start."""
        row = await self._transaction.fetchrow(statements.STATE, account)
        return None if row is None else state_of(row)

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

    async def configuration(self) -> ConfigurationVersion | None:
        """Return the newest version of the configuration; None before the first start.

        Raises:
            ConfigurationError: This program cannot use it: another version of the program wrote it.
        """
        row = await self._transaction.fetchrow(statements.CONFIGURATION)
        return None if row is None else configuration_of(row)

    async def save_configuration(self, version: ConfigurationVersion) -> None:
        """Store a new version for ever."""
        await self._transaction.execute(
            statements.SAVE_CONFIGURATION,
            version.version,
            version.sourced.configuration.model_dump(mode="json"),
            version.sourced.configuration.hash,
            dict(version.sourced.origins),
            list(version.changes),
            list(version.loosened),
            version.issuer,
            version.reason,
            version.command_id,
            version.created_at,
        )

    async def operator_keys(self) -> Mapping[str, OperatorKeyChanged]:
        """Return the last change told of every operator's key, by key id."""
        rows = await self._transaction.fetch(statements.OPERATOR_KEYS)
        return {row["key_id"]: OperatorKeyChanged(**dict(row)) for row in rows}

    async def save_operator_key(self, change: OperatorKeyChanged) -> None:
        """Remember a change that is told."""
        await self._transaction.execute(
            statements.SAVE_OPERATOR_KEY,
            change.key_id,
            change.name,
            change.role,
            list(change.accounts),
            change.accepted,
            change.reason,
            change.occurred_at,
        )

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


def _no_state(account: str) -> LookupError:
    return LookupError(f"expected a trading state of account {account!r}, found none")
