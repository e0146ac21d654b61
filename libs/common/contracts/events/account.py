"""Positions and equity as the position manager's ledger has them."""

import uuid
from datetime import date
from typing import Literal

from pydantic import Field

from libs.common.contracts.event import Event
from libs.common.contracts.fields import (
    AccountName,
    Count,
    Exact,
    Name,
    NonNegative,
    Positive,
    Price,
    Revision,
    Symbol,
    Text,
    UtcTime,
)


class PositionChanged(Event):
    """A position after a fill or a settled difference.

    Attributes:
        revision: Rises by one with every change of this position.
        quantity: What is held for the system, fees in the base asset already taken off.
        entry_price: Average price paid; None when flat.
        realised_pnl: Of this account and symbol since the beginning, fees included, in the quote currency.
        round_trips: Positions opened and closed so far.
        bought: All that was ever bought of the symbol, gross of commissions; None: of a version that did not tell.
    """

    account: AccountName
    symbol: Symbol
    revision: Revision
    strategy: Name = ""
    quantity: NonNegative
    cost: NonNegative
    entry_price: Positive | None = None
    stop_loss: Positive | None = None
    take_profit: Positive | None = None
    realised_pnl: Exact
    fees: NonNegative
    round_trips: Count = 0
    bought: NonNegative | None = None
    opened_at: UtcTime | None = None

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One event a revision."""
        return f"{self.account}|{self.symbol}|{self.revision}"


class StopMoved(Event):
    """A trailing stop belongs higher now; whoever keeps the position's protection moves it there, and never back.

    Attributes:
        revision: The position's: it counts this change among the others.
        entry_intent_id: The entry that opened the position.
        stop_loss: Where it is to sell at a loss from now on.
        highest: The price that the stop has followed.
    """

    account: AccountName
    symbol: Symbol
    revision: Revision
    entry_intent_id: uuid.UUID
    stop_loss: Price
    highest: Price

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One event a revision."""
        return f"{self.account}|{self.symbol}|{self.revision}"


class EquityMarked(Event):
    """An account's worth in the quote currency, marked to the bid.

    Attributes:
        confirmed: A second look agreed: only confirmed marks move the baseline or trip the daily loss.
        day: The UTC day that `day_start_equity` belongs to.
        peak_24h: The highest confirmed equity of the last 24 hours.
        pnl_today: Equity less the day's start, transfers excluded.
        quote_free: Quote currency that is not locked in orders, as the exchange last said.
    """

    account: AccountName
    equity: Exact
    confirmed: bool
    day: date
    day_start_equity: Positive
    peak_24h: Positive
    pnl_today: Exact
    realised_pnl: Exact
    unrealised_pnl: Exact
    quote_free: NonNegative
    positions_open: Count
    marks: dict[str, Exact] = Field(default_factory=dict, max_length=100)

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """A mark is identified by its moment."""
        return f"{self.account}|{self.occurred_at.isoformat()}"


class BalancesAdjusted(Event):
    """Balances moved without an order of ours: by a transfer, or by a difference that a person accepted.

    Every ledger follows it as it follows a fill; no position and no equity changes. `occurred_at` is the exchange's
    time of a transfer, and the moment of the acceptance otherwise.

    Attributes:
        kind: TRANSFER (the exchange said so: a deposit, a withdrawal) or DIFFERENCE (accepted by a person).
        reference: What it is known by: the exchange's words of the transfer, or the command that accepted.
        changes: What is added to each asset's balance.
        reason: Why, `issuer` who said so.
    """

    account: AccountName
    kind: Literal["TRANSFER", "DIFFERENCE"]
    reference: Name
    changes: dict[Name, Exact] = Field(max_length=100)
    reason: Text = ""
    issuer: Name = ""

    @property
    def key(self) -> str:
        """Ordered per account, among the fills."""
        return self.account

    @property
    def natural_key(self) -> str:
        """A transfer or an acceptance moves balances once."""
        return f"{self.account}|{self.kind}|{self.reference}"


class AccountReconciled(Event):
    """Our books and the exchange were compared once more, whatever came of it.

    Attributes:
        began_at: When the comparison began: what happened before is in it.
    """

    account: AccountName
    began_at: UtcTime

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One event a comparison."""
        return f"{self.account}|{self.began_at.isoformat()}"
