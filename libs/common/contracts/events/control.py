"""Commands of people, the trading state they lead to, and the answers."""

import uuid
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from libs.common.contracts.event import Event
from libs.common.contracts.fields import AccountName, Count, Name, Number, Revision, Symbol, Text, UtcTime
from libs.common.contracts.vocabulary import StopTrigger, TradingState

ConfigurationKey = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ConfigurationText = Annotated[str, StringConstraints(max_length=10_000)]
CommandName = Literal["HALT", "RESUME", "START", "STOP", "CONFIGURE", "RECONCILE_ACCEPT", "ACKNOWLEDGE"]


class ControlCommanded(Event):
    """A signed command; `libs.common.control.commands` builds, signs and verifies it.

    Attributes:
        command_id: Chosen by the issuer, seen once.
        scope_symbol: Narrows a halt or resume to a symbol, `scope_strategy` to a strategy.
        liquidate: With HALT: sell every position of the scope afterwards.
        clears: With RESUME: the halts (their command or event ids) that it names as settled.
        changes: With CONFIGURE: the new values by dotted key, as JSON or plain text.
        difference: With RECONCILE_ACCEPT: the id of the difference that is to be booked.
        alert: With ACKNOWLEDGE: the event id of the alert that somebody has seen.
        sequence: Rises with every command of the issuer's key.
        expires_at: At most 30 s after `occurred_at`; ignored for HALT.
        key_id: Which operator key signed, `signature` its Ed25519 signature of the canonical form, base64.
    """

    command_id: uuid.UUID
    command: CommandName
    account: AccountName
    scope_symbol: Symbol | None = None
    scope_strategy: str | None = Field(default=None, max_length=60)
    liquidate: bool = False
    clears: tuple[Name, ...] = Field(default=(), max_length=100)
    changes: dict[ConfigurationKey, ConfigurationText] = Field(default_factory=dict, max_length=50)
    difference: Number | None = None
    alert: uuid.UUID | None = None
    reason: Text
    issuer: str = Field(min_length=1, max_length=60)
    sequence: Number
    expires_at: UtcTime
    key_id: str = Field(min_length=1, max_length=64)
    signature: str = Field(default="", max_length=200)

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """The issuer's id of the command."""
        return str(self.command_id)


class CommandAcknowledged(Event):
    """What became of a command.

    Attributes:
        accepted: False when it was refused; `reason` says why.
        path: Over which way the answering service learnt of it first: kafka, redis or file.
    """

    command_id: uuid.UUID
    command: CommandName
    account: AccountName
    accepted: bool
    component: Name
    path: Literal["kafka", "redis", "file"]
    state: TradingState
    reason: Text = ""
    orders_cancelled: Count = 0
    last_order_sent_at: UtcTime | None = None
    last_order_accepted_at: UtcTime | None = None

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One answer a command and component."""
        return f"{self.command_id}|{self.component}"


class AccountSwept(Event):
    """A halt is known to hold at the exchange: no entry in its scope is open or can still come to be.

    Attributes:
        halt_id: The halt; an account without one is swept without an event.
        scope_symbol: The halt's, `scope_strategy` likewise.
        swept_at: When the sweep that found nothing began, on the exchange's time: after the last request that may
            have been signed before could still be accepted.
        orders_cancelled: How many entries were cancelled since the halt was heard of.
        flat: Moreover nothing is left of the positions in its scope: only of halts that liquidate.
    """

    account: AccountName
    halt_id: Name
    scope_symbol: Symbol | None = None
    scope_strategy: str | None = Field(default=None, max_length=60)
    swept_at: UtcTime
    orders_cancelled: Count = 0
    flat: bool = False

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One event a halt and account, and another one when nothing is left."""
        return f"{self.account}|{self.halt_id}|{'flat' if self.flat else 'entries'}"


class OperatorKeyChanged(Event):
    """A key of those who may command was enrolled or revoked, noticed by the risk manager in the operators file.

    Attributes:
        key_id: The key's fingerprint.
        name: Whose it is.
        role: What it may command, `accounts` whom (empty: every account).
        accepted: Whether its commands count from now on.
        reason: Why it was revoked.
    """

    key_id: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=60)
    role: Name
    accounts: tuple[AccountName, ...] = Field(default=(), max_length=1_000)
    accepted: bool
    reason: Text = ""

    @property
    def key(self) -> str:
        """One file of operators for all accounts, in order."""
        return "operators"

    @property
    def natural_key(self) -> str:
        """One event a change."""
        return f"{self.key_id}|{self.accepted}|{self.occurred_at.isoformat()}"


class TradingStateChanged(Event):
    """The trading state of an account after a command or an emergency.

    Attributes:
        halt_epoch: Rises by one with every halt; approvals of an older one are void.
        trigger: The emergency that caused it, None for start, stop and resume.
        halts: The ids of the halts still latched.
        symbols_halted: Symbols that refuse entries although the account may trade, `strategies_halted` likewise.
    """

    account: AccountName
    state: TradingState
    previous: TradingState | None = None
    halt_epoch: Number
    revision: Revision
    trigger: StopTrigger | None = None
    reason: Text = ""
    issuer: Name = ""
    halts: tuple[Name, ...] = ()
    symbols_halted: tuple[Symbol, ...] = ()
    strategies_halted: tuple[Name, ...] = ()

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One event a revision."""
        return f"{self.account}|{self.revision}"
