"""What settling differences needs of the executor's tables, bound to one transaction."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from libs.common.control.commands import CommandHistory
from libs.exchange.orders.port import Balance
from services.trade_executor.domain.differences import Difference, StoredDifference
from services.trade_executor.domain.findings import StrayTrade

SettledBy = Literal["ACCEPTED", "EXPLAINED", "SUPERSEDED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What moved balances without an order of ours: see `BalancesAdjusted`."""

    account: str
    kind: Literal["TRANSFER", "DIFFERENCE"]
    reference: str
    changes: Mapping[str, Decimal]
    at: datetime
    reason: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A verified command to accept a difference."""

    command_id: uuid.UUID
    account: str
    difference_id: int
    key_id: str
    sequence: int
    issuer: str
    reason: str
    expires_at: datetime


class DifferenceRecords(Protocol):
    """The ledger, and where it differs from the exchange."""

    async def ledger(self, account: str) -> Mapping[str, Decimal]:
        """Return what the account must hold by our books; empty before they are opened."""
        ...

    async def open_ledger(self, account: str, balances: Mapping[str, Balance]) -> None:
        """Open the books with what the account holds."""
        ...

    async def book(self, movement: Movement) -> bool:
        """Book what moved balances without an order; False: it was booked before."""
        ...

    async def add_stray_trades(self, account: str, strays: Sequence[StrayTrade]) -> None:
        """Remember executions of orders that are not in our books; those that are known stay as they are."""
        ...

    async def stray_trades(self, account: str) -> Sequence[StrayTrade]:
        """Return those that nobody has accepted yet."""
        ...

    async def settle_stray_trades(self, account: str, exchange_order_id: str, command_id: uuid.UUID) -> None:
        """Remember that the executions of an order are in the ledger now."""
        ...

    async def open_differences(self, account: str) -> Sequence[StoredDifference]:
        """Return the open differences, oldest first."""
        ...

    async def difference(self, account: str, difference_id: int) -> StoredDifference | None:
        """Return a difference of the account, open or settled."""
        ...

    async def add_difference(self, difference: Difference, now: datetime) -> int | None:
        """Open a difference and return its id; None: it is open already."""
        ...

    async def see_again(self, difference_id: int, difference: Difference, now: datetime) -> None:
        """Remember how an open difference looks now."""
        ...

    async def settle_differences(
        self, ids: Sequence[int], settled_by: SettledBy, now: datetime, *, issuer: str = "", reason: str = ""
    ) -> None:
        """Close differences."""
        ...

    async def command_history(self, command_id: uuid.UUID, key_id: str) -> CommandHistory:
        """Return what is remembered of a command that accepts, and of its key."""
        ...

    async def add_acceptance(self, acceptance: Acceptance, outcome: str | None = None) -> None:
        """Remember a command; None: it waits to be decided."""
        ...

    async def waiting_acceptances(self, account: str) -> Sequence[Acceptance]:
        """Return the commands that are not decided, in the order of their issue."""
        ...

    async def decide_acceptance(self, command_id: uuid.UUID, outcome: str, now: datetime) -> None:
        """Remember what became of a command: "" when the difference was booked."""
        ...
