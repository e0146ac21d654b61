"""Stop when told: hear halts on every path, cancel entries, say what was done.

Invariant: a halt takes hold in the brake before anything else is done about it, and protective orders stay.
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import structlog

from libs.common.clock import Clock
from libs.common.contracts import vocabulary
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import CommandAcknowledged, ControlCommanded, TradingStateChanged
from libs.common.control.commands import CommandHistory, verify
from libs.common.control.halts import HaltRecord
from libs.common.control.operators import Operators
from libs.common.errors import RetryableError
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
ACTIONS_MAX: Final = 1_000

_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Action:
    """Something heard that calls for action.

    Attributes:
        halt: Set when it is a halt, with the way it came.
    """

    account: str
    cancel: bool = False
    halt: HaltRecord | None = None
    path: Path = "kafka"


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
        self._is_owner = False
        self._work: dict[str, asyncio.Queue[_Action]] = {
            account: asyncio.Queue(ACTIONS_MAX) for account in self._accounts
        }

    async def run(self) -> None:
        """Act on what was heard, each account in order and none waiting for another, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for work in self._work.values():
                tasks.create_task(self._act_on(work))

    async def act_on_waiting(self) -> None:
        """Act on everything that was heard so far."""
        for work in self._work.values():
            while not work.empty():
                await self.act(work.get_nowait())

    def take_over(self) -> None:
        """Act from now on: until then a standby only listens."""
        self._is_owner = True

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
            self._work[change.account].put_nowait(_Action(change.account))

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
                self._permitted_at_s[account] = now_s
            elif now_s - self._permitted_at_s[account] >= PERMIT_SILENCE_S and self._is_owner:
                self._permitted_at_s[account] = now_s  # look again after as long a time
                self._work[account].put_nowait(_Action(account, cancel=True))

    async def cancel_entries(self, account: str) -> int:
        """Cancel this installation's open entries of an account once, and return how many were cancelled."""
        return (await self._sweeper.sweep(account, self._symbols)).cancelled

    async def _act_on(self, work: "asyncio.Queue[_Action]") -> None:
        while True:
            await self.act(await work.get())

    def _stop(self, halt: HaltRecord, path: Path) -> None:
        if path == "kafka":
            self._brake.on_halt(halt)
        if not self._is_owner or halt.halt_id in self._acted or self._brake.is_settled(halt.halt_id):
            return
        self._acted[halt.halt_id] = None
        while len(self._acted) > HALTS_REMEMBERED_MAX:
            self._acted.popitem(last=False)
        for account in self._accounts:
            if halt.account in (None, account):
                self._work[account].put_nowait(_Action(account, cancel=True, halt=halt, path=path))

    async def act(self, action: "_Action") -> None:
        """Cancel entries where they may not stay, plan what else changes, and answer the command."""
        account, halt = action.account, action.halt
        if halt is not None:
            sweep = await self._sweeper.sweep(account, self._clearing.symbols_of((halt,)))
            self._clearing.want(account, halt, cancelled=sweep.cancelled)
            if halt.command is not None:
                await self._acknowledge(halt.command, account, action.path, sweep.cancelled)
        elif action.cancel or self._brake.state(account).value != vocabulary.TradingState.ACTIVE:
            await self.cancel_entries(account)
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
