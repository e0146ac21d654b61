"""Stop when told: hear halts on every path, cancel entries, say what was done.

Invariant: a halt takes hold in the brake before anything else is done about it, and protective orders stay.
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, get_args

import structlog

from libs.common.clock import Clock
from libs.common.contracts import vocabulary
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import CommandAcknowledged, ControlCommanded, TradingStateChanged
from libs.common.control.commands import CommandHistory, verify
from libs.common.control.halts import HaltRecord
from libs.common.control.operators import Operators
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.clearing import Clearing
from services.trade_executor.service.dispatching import Dispatcher
from services.trade_executor.service.events import COMPONENT
from services.trade_executor.service.persisting import fetch, persist
from services.trade_executor.service.ports import LatchSource, PermitSource, Records, Transactions
from services.trade_executor.service.sweeping import Sweeper

Path = Literal["kafka", "redis", "file"]
LATCH_INTERVAL_S: Final = 0.2
"""How long a halt that Kafka does not carry may go unnoticed; the permit's lapse or revocation acts beside it."""
PERMIT_INTERVAL_S: Final = 1.0
PERMIT_SILENCE_S: Final = 10.0
HALTS_REMEMBERED_MAX: Final = 10_000
HALTS_WAITING_MAX: Final = 1_000
"""Of an account; what is beyond comes again with the next look at the latch."""

_LOG: Final = structlog.get_logger()


@dataclass(slots=True)
class _Action:
    """What an account calls for: everything that was heard since the last action, at once.

    Attributes:
        cancel: Entries may not stay, whatever the trading state.
        halts: Each with the way it came.
    """

    account: str
    cancel: bool = False
    halts: list[tuple[HaltRecord, Path]] = field(default_factory=list)


class Halting:
    """Hears halts, the trading state and the permit's silence, and acts on them."""

    def __init__(
        self,
        *,
        accounts: Sequence[str],
        symbols: Sequence[str],
        brake: Brake,
        latch: LatchSource,
        permits: PermitSource,
        operators: Callable[[], Operators],
        sweeper: Sweeper,
        clearing: Clearing,
        dispatcher: Dispatcher,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._accounts = tuple(accounts)
        self._symbols = symbols
        self._brake = brake
        self._latch = latch
        self._permits = permits
        self._operators = operators
        self._sweeper = sweeper
        self._clearing = clearing
        self._dispatcher = dispatcher
        self._transactions = transactions
        self._clock = clock
        self._acted: OrderedDict[str, None] = OrderedDict()
        self._permitted_at_s = dict.fromkeys(self._accounts, clock.monotonic_s())
        self._seen_at_s = dict(self._permitted_at_s)
        self._is_owner = False
        self._owner_since = clock.now()
        self._waiting: dict[str, _Action] = {}
        self._arrived = {account: asyncio.Event() for account in self._accounts}
        for path in get_args(Path):
            metrics.HALT_SECONDS.labels(path=path)  # a series that begins with its first halt has not grown by it

    async def run(self) -> None:
        """Act on what was heard, each account in order and none waiting for another, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for account in self._accounts:
                tasks.create_task(self._keep_acting(account))

    async def act_on_waiting(self) -> None:
        """Act on everything that was heard so far."""
        for account in self._accounts:
            await self._act_on_waiting(account)

    def take_over(self) -> None:
        """Act from now on: until then a standby only listens."""
        self._is_owner = True
        self._owner_since = self._clock.now()

    def state(self, account: str) -> vocabulary.TradingState:
        """Return the account's trading state as the brake has it."""
        return vocabulary.TradingState(self._brake.state(account).value)

    async def on_command(self, envelope: Envelope[ControlCommanded]) -> None:
        """Halt at once on a command whose signature holds; other commands are the risk manager's."""
        command = envelope.event
        if command.command != "HALT":
            return
        refusal = verify(
            command,
            operators=self._operators(),
            accounts=self._accounts,
            now=self._clock.now(),
            history=CommandHistory(),
        )
        if refusal is not None:
            _LOG.warning("A halt was refused", command=str(command.command_id), reason=refusal.value)
            return
        self._stop(HaltRecord.of(command), "kafka")

    async def on_state(self, envelope: Envelope[TradingStateChanged]) -> None:
        """Take the risk manager's word on an account, and stop what it no longer allows."""
        change = envelope.event
        before = self._brake.state(change.account)
        self._brake.on_state(change)
        if self._is_owner and change.account in self._accounts and self._brake.state(change.account) != before:
            self._call_for_action(change.account)

    async def look_at_latch(self) -> None:
        """Look at the latch once, and act on halts that no message brought."""
        view = await self._latch.read()
        self._brake.on_latch(view)
        for record in view.records:
            self._stop(record, "redis" if record.halt_id in view.in_redis else "file")

    async def look_at_permits(self) -> None:
        """Cancel the entries of an account that has been without a permit for too long."""
        for account in self._accounts:
            now_s = self._clock.monotonic_s()
            if await self._permits.read(account) is not None:
                self._permitted_at_s[account] = self._seen_at_s[account] = now_s
            elif now_s - self._permitted_at_s[account] >= PERMIT_SILENCE_S and self._is_owner:
                self._permitted_at_s[account] = now_s  # look again after as long a time
                self._call_for_action(account).cancel = True
            metrics.PERMIT_AGE_SECONDS.labels(account=account).set(now_s - self._seen_at_s[account])

    async def cancel_entries(self, account: str) -> int:
        """Cancel this installation's open entries of an account once, and return how many were cancelled."""
        return (await self._sweeper.sweep(account, self._symbols)).cancelled

    def _call_for_action(self, account: str) -> _Action:
        """Have something done about an account soon, and return what: there is room to add to it."""
        self._arrived[account].set()
        return self._waiting.setdefault(account, _Action(account))

    async def _keep_acting(self, account: str) -> None:
        while True:
            await self._arrived[account].wait()
            self._arrived[account].clear()
            await self._act_on_waiting(account)

    async def _act_on_waiting(self, account: str) -> None:
        while (action := self._waiting.pop(account, None)) is not None:
            await self._act(action)

    def _stop(self, halt: HaltRecord, path: Path) -> None:
        if path == "kafka":
            self._brake.on_halt(halt)
        if not self._is_owner or halt.halt_id in self._acted or self._brake.is_settled(halt.halt_id):
            return
        actions = [self._call_for_action(account) for account in self._accounts if halt.account in (None, account)]
        if any(len(action.halts) >= HALTS_WAITING_MAX for action in actions):
            return
        self._acted[halt.halt_id] = None
        if halt.halted_at >= self._owner_since:  # a halt of before waited for an owner, not for us
            metrics.HALT_SECONDS.labels(path=path).observe((self._clock.now() - halt.halted_at).total_seconds())
        while len(self._acted) > HALTS_REMEMBERED_MAX:
            self._acted.popitem(last=False)
        for action in actions:
            action.halts.append((halt, path))

    async def _act(self, action: _Action) -> None:
        """Cancel entries where they may not stay, plan what else changes, and answer the command."""
        account, halts = action.account, [halt for halt, _ in action.halts]
        is_active = self.state(account) is vocabulary.TradingState.ACTIVE
        everywhere = action.cancel or not is_active
        sweep = await self._sweeper.sweep(account, self._symbols if everywhere else self._clearing.symbols_of(halts))
        if halts:
            self._clearing.want(account, halts, cancelled=sweep.cancelled)
        for halt, path in action.halts:
            if halt.command is not None:
                await self._acknowledge(halt.command, account, path, sweep.cancelled)
        chains = await self._open_chains(account)
        for chain_id in chains:
            await self._dispatcher.plan(chain_id)  # exits that may no longer be sent give way to protection

    async def _open_chains(self, account: str) -> Sequence[uuid.UUID]:
        try:
            return await fetch(self._transactions, lambda records: records.open_chains(account))
        except RetryableError as error:
            _LOG.error("Open positions could not be read", account=account, error=str(error))
            return ()

    async def _acknowledge(self, command: ControlCommanded, account: str, path: Path, cancelled: int) -> None:
        acknowledged = CommandAcknowledged(
            occurred_at=self._clock.now(),
            command_id=command.command_id,
            command=command.command,
            account=account,
            accepted=True,
            component=COMPONENT,
            path=path,
            state=self.state(account),
            orders_cancelled=cancelled,
            last_order_sent_at=self._dispatcher.entry_sent_at.get(account),
            last_order_accepted_at=self._dispatcher.entry_accepted_at.get(account),
        )
        await persist(self._transactions, partial(_answer, acknowledged))


async def _answer(event: Event, _: Records) -> Sequence[Event]:
    return [event]
