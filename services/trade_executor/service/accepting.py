"""Hear people accept differences: a verified command is written down, and the next look at the exchange decides it.

Invariant: only a signed, fresh command within its key's scope is ever written down to be decided, and each one once.
Whoever hears the commands, halts among them, never waits for the books.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import CommandAcknowledged, ControlCommanded
from libs.common.contracts.vocabulary import TradingState
from libs.common.control.commands import CommandHistory, CommandRefusal, verify
from libs.common.control.operators import Operators
from libs.common.messaging.cause import Cause
from services.trade_executor.service.difference_ports import Acceptance
from services.trade_executor.service.events import COMPONENT
from services.trade_executor.service.persisting import persist
from services.trade_executor.service.ports import Records, Transactions

WAITING_MAX: Final = 100

_LOG: Final = structlog.get_logger()
_UNSIGNED: Final = frozenset({CommandRefusal.UNKNOWN_KEY, CommandRefusal.BAD_SIGNATURE})


class Requested(Protocol):
    """What looks at the exchange on request."""

    def request(self) -> None:
        """Look soon."""
        ...


class Acceptances:
    """Takes RECONCILE_ACCEPT commands for the accounts of this process.

    Args:
        reconcilers: By account: asked to look as soon as a command is written down.
        operators: Returns the keys that are accepted now.
        state: Returns an account's trading state, which every answer tells.
    """

    def __init__(
        self,
        *,
        reconcilers: Mapping[str, Requested],
        operators: Callable[[], Operators],
        state: Callable[[str], TradingState],
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._reconcilers = reconcilers
        self._operators = operators
        self._state = state
        self._transactions = transactions
        self._clock = clock
        self._is_owner = False
        self._waiting: asyncio.Queue[Envelope[ControlCommanded]] = asyncio.Queue(WAITING_MAX)

    def take_over(self) -> None:
        """Take commands from now on: until then a standby only listens."""
        self._is_owner = True

    async def on_command(self, envelope: Envelope[ControlCommanded]) -> None:
        """Have a command written down or refused; other commands are none of ours.

        One that nobody signed is answered only while nothing else waits, so that it takes no other's place.
        """
        command = envelope.event
        if command.command != "RECONCILE_ACCEPT" or command.account not in self._reconcilers or not self._is_owner:
            return
        is_unsigned = self._refusal_of(command, CommandHistory()) in _UNSIGNED
        if self._waiting.full() or (is_unsigned and not self._waiting.empty()):
            _LOG.warning("A command was not taken: too many wait", command_id=str(command.command_id))
            return
        self._waiting.put_nowait(envelope)

    async def run(self) -> None:
        """Write down what was heard, one command after another, for ever."""
        while True:
            await self._write_down(await self._waiting.get())

    async def act_on_waiting(self) -> None:
        """Write down everything that was heard so far."""
        while not self._waiting.empty():
            await self._write_down(self._waiting.get_nowait())

    async def _write_down(self, envelope: Envelope[ControlCommanded]) -> None:
        command = envelope.event
        await persist(self._transactions, lambda records: self._take(records, command), cause=Cause.of(envelope))
        self._reconcilers[command.account].request()

    def _refusal_of(self, command: ControlCommanded, history: CommandHistory) -> CommandRefusal | None:
        return verify(
            command,
            operators=self._operators(),
            accounts=tuple(self._reconcilers),
            now=self._clock.now(),
            history=history,
        )

    async def _take(self, records: Records, command: ControlCommanded) -> Sequence[Event]:
        refusal = self._refusal_of(command, await records.command_history(command.command_id, command.key_id))
        if refusal is CommandRefusal.REPLAYED:
            _LOG.warning("A command came again", command_id=str(command.command_id))
            return []
        why = "" if refusal is None else refusal.value
        if not why and command.difference is None:
            why = "expected the id of a difference, found none"
        # An id is remembered only where the signature vouches for it: nobody can use up another's.
        if refusal not in _UNSIGNED:
            await records.add_acceptance(_acceptance_of(command), outcome=why or None)
        return [self._refused(command, why)] if why else []

    def _refused(self, command: ControlCommanded, why: str) -> CommandAcknowledged:
        _LOG.warning("Refused a command", command=command.command, issuer=command.issuer, reason=why)
        return CommandAcknowledged(
            occurred_at=self._clock.now(),
            command_id=command.command_id,
            command=command.command,
            account=command.account,
            accepted=False,
            component=COMPONENT,
            path="kafka",
            state=self._state(command.account),
            reason=why,
        )


def _acceptance_of(command: ControlCommanded) -> Acceptance:
    return Acceptance(
        command_id=command.command_id,
        account=command.account,
        difference_id=command.difference or 0,
        key_id=command.key_id,
        sequence=command.sequence,
        issuer=command.issuer,
        reason=command.reason,
        expires_at=command.expires_at,
    )
