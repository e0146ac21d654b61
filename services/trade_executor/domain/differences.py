"""Where our books and the exchange disagree, and when a difference is still the same one.

Invariant: amounts are compared to the last digit; nothing is close enough. A difference's id stands for one figure.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from libs.trading.money import plain

Subject = tuple["Kind", str]


class Kind(StrEnum):
    """What it is that does not agree."""

    BALANCE = "BALANCE"  # an asset of which the exchange holds more or less
    TRADE = "TRADE"  # an order that this system did not send was executed
    MISSING_ORDER = "MISSING_ORDER"  # the exchange does not know an order that rests by our books
    UNRECORDED_ORDER = "UNRECORDED_ORDER"  # an order of this installation without an intent
    FOREIGN_ORDER = "FOREIGN_ORDER"  # another installation trades the account
    RESTORED = "RESTORED"  # the database had forgotten what was published
    LATE_FILL = "LATE_FILL"  # an order was adopted after its claim had been released

    @property
    def explains_itself(self) -> bool:
        """Whether it may turn out to be none; all others stay until a person has accepted them."""
        return self in {Kind.BALANCE, Kind.MISSING_ORDER}

    @property
    def stops_everything(self) -> bool:
        """Whether somebody else may be using the account as we do."""
        return self in {Kind.FOREIGN_ORDER, Kind.UNRECORDED_ORDER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What our books and the exchange do not agree on.

    Attributes:
        subject: What it is about: an asset, an order's client id, or the exchange's id of somebody else's order.
        symbol: The market that is halted for it; None: the whole account.
        changes: What our books gain by accepting it, by asset.
        order_id: The exchange's id of the order that it is about, if it is about one.
        is_open: The order still rests at the exchange, so that there is nothing to accept yet.
    """

    account: str
    kind: Kind
    subject: str
    symbol: str | None
    expected: str
    found: str
    changes: Mapping[str, Decimal] = field(default_factory=dict)
    order_id: str | None = None
    is_open: bool = False

    @property
    def key(self) -> Subject:
        """What a later look recognises it by."""
        return self.kind, self.subject

    @property
    def figure(self) -> str:
        """What exactly differs. Of a balance the gap: orders move both sides."""
        return plain(self.changes[self.subject]) if self.kind is Kind.BALANCE else self.found

    def __str__(self) -> str:
        """Tell it in one line."""
        return f"{self.kind} {self.subject}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDifference:
    """A row: the difference that its id stands for.

    Attributes:
        settled_by: ACCEPTED, EXPLAINED or SUPERSEDED; None: it is open.
    """

    id: int
    account: str
    kind: Kind
    subject: str
    symbol: str | None
    expected: str
    found: str
    figure: str
    since: datetime
    settled_by: str | None = None

    @property
    def key(self) -> Subject:
        """What a look recognises it by."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look means for the open rows: which differences are new, and which rows are over, and how."""

    opened: Sequence[Difference]
    seen_again: Mapping[int, Difference]
    explained: Sequence[int]
    superseded: Sequence[int]


def judge(rows: Sequence[StoredDifference], found: Sequence[Difference], undecided: AbstractSet[Subject]) -> Verdict:
    """Compare the open rows of an account with what a look found.

    Args:
        rows: The open ones.
        found: Everything that differs now.
        undecided: What changed since the look before: it may be an execution on its way, and its rows are left alone.
    """
    known = {row.key: row for row in rows}
    now = {difference.key: difference for difference in found if difference.key not in undecided}
    same = {key for key, row in known.items() if key in now and now[key].figure == row.figure}
    return Verdict(
        opened=[difference for key, difference in now.items() if key not in same],
        seen_again={known[key].id: now[key] for key in same},
        explained=[
            row.id for key, row in known.items() if key not in now and key not in undecided and row.kind.explains_itself
        ],
        superseded=[row.id for key, row in known.items() if key in now and key not in same],
    )
