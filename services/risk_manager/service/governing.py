"""The trading state: who stops and starts an account, and what each change sets off.

Invariant: a halt needs nothing but to be seen; whatever lets trading go on needs a verified command.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.configuration.accounts import accounts_of
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import ControlCommanded
from libs.common.contracts.vocabulary import StopTrigger, TradingState
from libs.common.control.commands import CommandHistory, CommandRefusal, verify
from libs.common.control.halting import HaltPath
from libs.common.control.halts import HaltRecord
from libs.common.control.operators import Operators
from libs.common.observability import metrics
from services.risk_manager.domain.configuration import ChangeRefusal
from services.risk_manager.domain.resuming import ResumeRefusal
from services.risk_manager.domain.trading_state import AccountState, ReducingCause, TransitionRefusal
from services.risk_manager.service.announcements import COMPONENT, acknowledged, halt_alert, resumption_alert
from services.risk_manager.service.configuring import ConfigurationKeeper
from services.risk_manager.service.policy import Conditions, StartPolicy
from services.risk_manager.service.ports import RiskRecords
from services.risk_manager.service.resuming import resumed, told_resumption

Liquidate = Callable[[HaltRecord, AccountState, RiskRecords], Awaitable[Sequence[Event]]]

_log = structlog.get_logger(__name__)


class Governor:
    """Keeps the trading state of every account.

    Args:
        configuration: The accounts, and which emergencies liquidate.
        configuring: Changes the configuration.
        operators: Returns the keys that are accepted now.
        conditions: Which emergencies persist.
        liquidate: Makes the orders that sell the positions in a halt's scope.
        start: How an account begins.
        clock: The moment of each change.
    """

    def __init__(
        self,
        *,
        configuration: LiveConfiguration,
        configuring: ConfigurationKeeper,
        operators: Callable[[], Operators],
        conditions: Conditions,
        liquidate: Liquidate,
        start: StartPolicy,
        clock: Clock,
    ) -> None:
        self._accounts = configuration.current.exchange.accounts
        self._configuration = configuration
        self._configuring = configuring
        self._operators = operators
        self._conditions = conditions
        self._liquidate = liquidate
        self._start = start
        self._clock = clock
        self.known: dict[str, AccountState] = {}
        """The committed state of every account, for loops that must not wait for the database."""

    async def begin(self, records: RiskRecords) -> Sequence[Event]:
        """Take up the stored states; an account that has none begins in REDUCING, a fresh demonstration in ACTIVE."""
        events: list[Event] = []
        now = self._clock.now()
        stored = {account: await records.find_state(account) for account in self._accounts}
        is_fresh = all(state is None for state in stored.values())
        for account, before in stored.items():
            after = before or AccountState(
                account=account,
                since=now,
                wants_active=self._start.starts_active and is_fresh,
                reason="fresh installation" if is_fresh else "a new account",
                issuer=COMPONENT,
            )
            armed = self._start.is_armed(account)
            after = after.with_cause(
                ReducingCause.LIVE_TRADING_IS_NOT_ARMED,
                present=not armed,
                reason="" if armed else f"live trading needs TRADER_LIVE_ARMED to name {account}",
                now=now,
            )
            events += await self._keep(after, before, records)
        return events

    async def restore(self, records: RiskRecords) -> Sequence[Event]:
        """Write again what the database lost of the halts in force, and take up what is stored but not known here.

        A commit whose answer was lost may have taken effect: then the stored revision is the higher one.
        """
        for account, known in self.known.items():
            stored = await records.find_state(account)
            if stored is not None and stored.revision > known.revision:
                self._take_up(stored, records)
            elif stored is None or {halt.halt_id for halt in known.halts} - {halt.halt_id for halt in stored.halts}:
                _log.error("Stored halts were lost and are written again", account=account)
                await records.save_state(known)
        return ()

    async def on_command(
        self, envelope: Envelope[ControlCommanded], records: RiskRecords, path: HaltPath = "kafka"
    ) -> Sequence[Event]:
        """Carry out a verified command and acknowledge it; one that was handled before changes nothing."""
        command = envelope.event
        if command.command in ("RECONCILE_ACCEPT", "ACKNOWLEDGE"):
            return ()  # the executor's, which keeps the books; the notifier's
        history = await records.command_history(command)
        refusal = self.refusal_of(command, history)
        if refusal is CommandRefusal.REPLAYED:
            _log.warning("A command came again", command_id=str(command.command_id), path=path)
            self._take_up(await records.state(command.account), records)
            if command.command == "CONFIGURE":
                await self._configuring.restore(records)
            return ()
        if refusal is not None:
            return await self._refuse(command, refusal, "", path, records)
        before = await records.state(command.account)
        if command.command == "CONFIGURE":
            return await self._configured(command, before, path, records)
        outcome = await self._transition(command, before, records)
        if isinstance(outcome, tuple):
            return await self._refuse(command, outcome[0], outcome[1], path, records)
        await records.save_command(command, refusal=None, path=path, at=self._clock.now())
        halt = self._halt_of(command)
        note = told_resumption(before, outcome) if command.command == "RESUME" else ""
        if command.liquidate and not halt.liquidate:
            note = "halted without selling anything: this key may only halt"
        events = await self._keep(outcome, before, records)
        events.append(acknowledged(command, outcome.state, path, refusal="", now=self._clock.now(), note=note))
        if command.command == "HALT":
            events += await self._after_halt(halt, outcome, records, may_liquidate=True)
        elif before.needs_somebody and not outcome.needs_somebody:  # one that still stands still wants an answer
            events.append(resumption_alert(outcome, now=self._clock.now()))
        return events

    async def on_latched(self, halt: HaltRecord, path: HaltPath, records: RiskRecords) -> Sequence[Event]:
        """Take over a halt that was found in a latch: a signed one as its command, any other as it stands."""
        command = halt.command
        is_genuine = command is not None and command.command == "HALT" and halt == HaltRecord.of(command)
        if (
            command is not None
            and is_genuine
            and self.refusal_of(command, await records.command_history(command)) is None
        ):
            envelope = Envelope(event=command, event_id=command.command_id, recorded_at=command.occurred_at)
            return await self.on_command(envelope, records, path)
        events: list[Event] = []
        for account in self._covered(halt):
            if not await records.is_settled(account, halt.halt_id):
                events += await self.halt(halt.model_copy(update={"account": account}), records)
        return events

    async def is_settled(self, halt: HaltRecord, records: RiskRecords) -> bool:
        """Tell whether a halt was latched and cleared before, in every account that it covers."""
        return all([await records.is_settled(account, halt.halt_id) for account in self._covered(halt)])

    async def trip(
        self,
        trigger: StopTrigger,
        *,
        account: str,
        halt_id: str,
        reason: str,
        at: datetime,
        records: RiskRecords,
        symbol: str | None = None,
    ) -> Sequence[Event]:
        """Halt an account, or a symbol of it, because of an emergency; the same emergency again changes nothing."""
        halt = HaltRecord(
            halt_id=halt_id,
            account=account,
            scope_symbol=symbol,
            trigger=trigger,
            reason=reason,
            issuer=COMPONENT,
            halted_at=at,
            liquidate=trigger in self._configuration.of(account).safety.liquidate_on,
        )
        if await records.is_settled(account, halt_id):
            return ()
        return await self.halt(halt, records, may_liquidate=True)

    async def halt(self, halt: HaltRecord, records: RiskRecords, *, may_liquidate: bool = False) -> Sequence[Event]:
        """Latch a halt of one account.

        Args:
            halt: Names the account.
            records: The stored risk state.
            may_liquidate: Whether the halt has the authority to sell positions.
        """
        before = await records.state(halt.account or "")
        if not may_liquidate:  # what is stored as liquidating is sold until nothing is left
            halt = halt.model_copy(update={"liquidate": False})
        after = before.halted_by(halt, now=self._clock.now())
        events = await self._keep(after, before, records)
        if after is before:
            return events
        return [*events, *await self._after_halt(halt, after, records, may_liquidate=may_liquidate)]

    async def set_cause(
        self, account: str, cause: ReducingCause, *, present: bool, reason: str, records: RiskRecords
    ) -> Sequence[Event]:
        """Reduce an account for the moment, or lift what reduced it."""
        before = await records.state(account)
        after = before.with_cause(cause, present=present, reason=reason, now=self._clock.now())
        return await self._keep(after, before, records)

    def refusal_of(self, command: ControlCommanded, history: CommandHistory) -> CommandRefusal | None:
        """Return why a command must be refused, or None."""
        return verify(
            command,
            operators=self._operators(),
            accounts=self._accounts,
            now=self._clock.now(),
            history=history,
        )

    async def _transition(
        self, command: ControlCommanded, before: AccountState, records: RiskRecords
    ) -> AccountState | tuple[TransitionRefusal | ResumeRefusal, str]:
        now, reason, issuer = self._clock.now(), command.reason, command.issuer
        match command.command:
            case "HALT":
                return before.halted_by(self._halt_of(command), now=now)
            case "RESUME":
                return await resumed(command, before, records, conditions=self._conditions, now=now)
            case "START":
                return before.started(reason=reason, issuer=issuer, now=now)
            case "STOP":
                return before.stopped(reason=reason, issuer=issuer, now=now)
            case "CONFIGURE" | "RECONCILE_ACCEPT" | "ACKNOWLEDGE":  # change no account's state
                return before

    def _halt_of(self, command: ControlCommanded) -> HaltRecord:
        """Return the halt that a command asks for; it sells only where its key may also let trading go on."""
        operator = self._operators().find(command.key_id)
        may_sell = operator is not None and operator.may("RESUME", command.account)
        return HaltRecord.of(command).model_copy(update={"liquidate": command.liquidate and may_sell})

    async def _configured(
        self, command: ControlCommanded, state: AccountState, path: HaltPath, records: RiskRecords
    ) -> Sequence[Event]:
        """Change the configuration: every account's, or what those in the key's scope have of their own."""
        operator, own = self._operators().find(command.key_id), accounts_of(command.changes)
        accounts = self._accounts if own is None else own
        if operator is None or not all(operator.may(command.command, account) for account in accounts):
            return await self._refuse(command, ChangeRefusal.NOT_EVERY_ACCOUNT_IS_IN_SCOPE, "", path, records)
        outcome = await self._configuring.change(command, records)
        if isinstance(outcome, tuple):
            return await self._refuse(command, outcome[0], outcome[1], path, records)
        await records.save_command(command, refusal=None, path=path, at=self._clock.now())
        answer = acknowledged(command, state.state, path, refusal="", now=self._clock.now(), note=outcome.summary)
        return [outcome.announced(), answer]

    async def _after_halt(
        self, halt: HaltRecord, state: AccountState, records: RiskRecords, *, may_liquidate: bool
    ) -> list[Event]:
        events: list[Event] = [halt_alert(halt, state, now=self._clock.now())]
        if halt.liquidate and may_liquidate:
            events += await self._liquidate(halt, state, records)
        return events

    def _covered(self, halt: HaltRecord) -> list[str]:
        return [account for account in self._accounts if halt.account in (None, account)]

    async def _keep(self, after: AccountState, before: AccountState | None, records: RiskRecords) -> list[Event]:
        if after is before:
            self._take_up(after, records)
            return []
        await records.save_state(after)
        records.after_commit(lambda: self._remember(after))
        return [after.announced(previous=before.state if before is not None else None)]

    def _take_up(self, stored: AccountState, records: RiskRecords) -> None:
        """Remember a stored state that is newer than the known one: its commit was never answered."""
        known = self.known.get(stored.account)
        if known is None or stored.revision > known.revision:
            records.after_commit(lambda: self._remember(stored))

    def _remember(self, state: AccountState) -> None:
        self.known[state.account] = state
        for each in TradingState:
            metrics.TRADING_STATE.labels(account=state.account, state=each).set(1 if each is state.state else 0)

    async def _refuse(
        self, command: ControlCommanded, refusal: str, detail: str, path: HaltPath, records: RiskRecords
    ) -> list[Event]:
        # An id is remembered only where the signature vouches for it: nobody can use up another's.
        if refusal not in (CommandRefusal.UNKNOWN_KEY, CommandRefusal.BAD_SIGNATURE):
            await records.save_command(command, refusal=refusal, path=path, at=self._clock.now())
        stored = await records.find_state(command.account)
        state = stored.state if stored is not None else TradingState.HALTED
        reason = f"{refusal}: {detail}" if detail else refusal
        _log.warning("Refused a command", command=command.command, issuer=command.issuer, reason=reason)
        return [acknowledged(command, state, path, refusal=reason, now=self._clock.now())]
