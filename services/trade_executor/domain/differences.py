"""Where our books and the exchange disagree.

Invariant: amounts are compared to the last digit; nothing is close enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from libs.exchange.orders.port import Balance
from libs.trading.money import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What our ledger and the exchange do not agree on.

    Attributes:
        kind: `BALANCE` or `ORDER`.
        subject: What it is about: an asset, or an order's client id.
    """

    account: str
    kind: str
    subject: str
    expected: str
    found: str


def balance_differences(
    account: str, ledger: Mapping[str, Decimal], balances: Mapping[str, Balance]
) -> Sequence[Difference]:
    """Return the assets of which the exchange holds more or less than our books say."""
    held = {asset: balances[asset].total if asset in balances else Decimal(0) for asset in ledger}
    return [
        Difference(account=account, kind="BALANCE", subject=asset, expected=plain(expected), found=plain(held[asset]))
        for asset, expected in sorted(ledger.items())
        if expected != held[asset]
    ]


def gap(difference: Difference) -> tuple[str, Decimal]:
    """Return by how much which asset differs: what stays the same while orders move both sides."""
    return difference.subject, Decimal(difference.found) - Decimal(difference.expected)
