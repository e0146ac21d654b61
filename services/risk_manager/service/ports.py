"""What the handlers need from the world: the stored risk state of one transaction, Redis, the market, the latches."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from libs.common.contracts.events import (
    ControlCommanded,
    EquityMarked,
    OperatorKeyChanged,
    OrderApproved,
    OrderRefused,
)
from libs.common.contracts.vocabulary import TradingState
from libs.common.control.commands import CommandHistory
from libs.trading.instruments import Instrument
from libs.trading.market import Quote
from services.risk_manager.domain.claims import Claim, HeldPosition
from services.risk_manager.domain.configuration import ConfigurationVersion
from services.risk_manager.domain.figures import AccountSnapshot, MarketFacts, StoredMark
from services.risk_manager.domain.trading_state import AccountState
from services.risk_manager.domain.trips import CountedSetbacks, Trips


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFacts:
    """What a decision was made on, kept beside it.

    Attributes:
        configuration_hash: The limits that held.
        notional: What was reserved; None on a refusal.
        inputs: The figures that the rules looked at.
    """

    configuration_version: int
    configuration_hash: str
    risk_epoch: int
    halt_epoch: int
    state: TradingState
    notional: Decimal | None
    inputs: Mapping[str, str]


class RiskRecords(Protocol):
    """The stored risk state, bound to one transaction of the owner."""

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Run `effect` once the transaction is durable."""
        ...

    async def snapshot(self, account: str, signal_id: str, *, now: datetime) -> AccountSnapshot:
        """Return everything stored that a decision on a signal looks at.

        Raises:
            LookupError: The account has no trading state: a bug, for recovery stores one before anything is handled.
        """
        ...

    async def save_refusal(self, answer: OrderRefused, facts: DecisionFacts) -> None:
        """Keep a refusal for ever."""
        ...

    async def save_approval(self, answer: OrderApproved, facts: DecisionFacts, claim: Claim) -> None:
        """Keep an approval for ever, and what it claims."""
        ...

    async def claim(self, intent_id: uuid.UUID) -> Claim | None:
        """Return the claim of an intent; None if it is no approval of ours."""
        ...

    async def open_claims(self, account: str) -> Sequence[Claim]:
        """Return every claim that is not released."""
        ...

    async def save_claim(self, claim: Claim) -> None:
        """Store a claim's absolute values."""
        ...

    async def bought_by_released(self, account: str, symbol: str, *, since: Decimal) -> Decimal:
        """Return what entries bought whose claims began at `since` or later and are released."""
        ...

    async def positions(self, account: str) -> Sequence[HeldPosition]:
        """Return the account's positions, flat ones included."""
        ...

    async def save_position(self, position: HeldPosition, *, at: datetime) -> bool:
        """Store a position; False if a newer one is there."""
        ...

    async def mark(self, account: str) -> StoredMark | None:
        """Return the account's last equity mark."""
        ...

    async def save_mark(self, mark: EquityMarked) -> bool:
        """Store the account's last equity mark; False if a newer one is there."""
        ...

    async def warn_once(self, account: str, day: date) -> bool:
        """Note that the day's warning was given; False if it was before."""
        ...

    async def setbacks(self, account: str) -> CountedSetbacks:
        """Return what is counted of the account's losses; nothing yet before the first."""
        ...

    async def save_setbacks(self, counted: CountedSetbacks) -> None:
        """Store it."""
        ...

    async def trips(self, account: str, symbol: str) -> Trips | None:
        """Return the account's round trips in a symbol; None before the first position."""
        ...

    async def save_trips(self, trips: Trips) -> None:
        """Store them."""
        ...

    async def find_state(self, account: str) -> AccountState | None:
        """Return the account's stored trading state with its latched halts; None before its first start."""
        ...

    async def state(self, account: str) -> AccountState:
        """Return the stored trading state of an account that was started before.

        Raises:
            LookupError: It has none: a bug, for recovery stores one before anything is handled.
        """
        ...

    async def save_state(self, state: AccountState) -> None:
        """Store the state, its halts included; halts that it no longer has are marked as cleared."""
        ...

    async def is_settled(self, account: str, halt_id: str) -> bool:
        """Tell whether a halt was latched and cleared before."""
        ...

    async def command_history(self, command: ControlCommanded) -> CommandHistory:
        """Return what is remembered of a command and its key."""
        ...

    async def configuration(self) -> ConfigurationVersion | None:
        """Return the newest version of the configuration; None before the first start.

        Raises:
            ConfigurationError: This program cannot use it: another version of the program wrote it.
        """
        ...

    async def save_configuration(self, version: ConfigurationVersion) -> None:
        """Store a new version for ever."""
        ...

    async def operator_keys(self) -> Mapping[str, OperatorKeyChanged]:
        """Return the last change told of every operator's key, by key id."""
        ...

    async def save_operator_key(self, change: OperatorKeyChanged) -> None:
        """Remember a change that is told."""
        ...

    async def save_command(self, command: ControlCommanded, *, refusal: str | None, path: str, at: datetime) -> None:
        """Remember a command that was handled."""
        ...


class ReservationOutcome(StrEnum):
    """What the atomic check in Redis found."""

    RESERVED = "RESERVED"
    POSITION_IS_OPEN = "POSITION_IS_OPEN"
    POSITION_LIMIT_IS_REACHED = "POSITION_LIMIT_IS_REACHED"
    EXPOSURE_IS_ABOVE_LIMIT = "EXPOSURE_IS_ABOVE_LIMIT"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Reservation:
    """The outcome, and what was found where it refuses."""

    outcome: ReservationOutcome
    observed: str = ""


class RiskBook(Protocol):
    """The shared risk state in Redis: derived from the stored one, decided on atomically."""

    async def reserve(self, claim: Claim, *, positions_max: int, exposure_max: Decimal) -> Reservation:
        """Reserve for an entry if every limit still has room; the same intent again is the same reservation."""
        ...

    def claim_changed(self, claim: Claim) -> None:
        """Bring a committed claim to Redis soon."""
        ...

    def position_changed(self, position: HeldPosition) -> None:
        """Bring a committed position to Redis soon."""
        ...


class Instruments(Protocol):
    """The exchange's rules of each symbol."""

    def get(self, symbol: str) -> Instrument | None:
        """Return the symbol's rules; None until they have been read."""
        ...


class Market(Protocol):
    """The observed market."""

    def facts(self, symbol: str) -> MarketFacts:
        """Return what is known of a symbol's market."""
        ...

    async def quote(self, symbol: str) -> Quote | None:
        """Return the newest best bid and ask; None if nobody knows it."""
        ...
