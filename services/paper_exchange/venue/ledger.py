"""The accounts' balances in 1e-8 units.

Invariant: no balance is ever negative; what a call takes from one place it puts into another.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from services.paper_exchange.venue.errors import insufficient_balance


@dataclass(slots=True)
class Balance:
    """What an account has of one asset: free, and held back by its open orders."""

    free: int = 0
    locked: int = 0


class Ledger:
    """The balances of every account, and which of them changed since they were last collected."""

    def __init__(self) -> None:
        self._balances: defaultdict[str, defaultdict[str, Balance]] = defaultdict(lambda: defaultdict(Balance))
        self._touched: dict[tuple[str, str], None] = {}

    def balance(self, account: str, asset: str) -> Balance:
        """Return one balance; not to be changed."""
        return self._balances[account][asset]

    def balances(self, account: str) -> Mapping[str, Balance]:
        """Return all balances of an account by asset; not to be changed."""
        return self._balances.get(account, {})

    def accounts(self) -> tuple[str, ...]:
        """Return the accounts' names."""
        return tuple(self._balances)

    def set(self, account: str, asset: str, *, free: int, locked: int) -> None:
        """Set a balance (when it is restored or opened)."""
        if min(free, locked) < 0:
            raise ValueError(f"{account} {asset}: a balance cannot be negative, found {free=} {locked=}")
        balance = self._touch(account, asset)
        balance.free, balance.locked = free, locked

    def credit(self, account: str, asset: str, units: int) -> None:
        """Add to the free balance."""
        self._touch(account, asset).free += units

    def lock(self, account: str, asset: str, units: int) -> None:
        """Hold back part of the free balance.

        Raises:
            ApiError: There is not enough.
        """
        if self.balance(account, asset).free < units:
            raise insufficient_balance()
        balance = self._touch(account, asset)
        balance.free -= units
        balance.locked += units

    def unlock(self, account: str, asset: str, units: int) -> None:
        """Give back what was held."""
        self.pay(account, asset, units)
        self._touch(account, asset).free += units

    def pay(self, account: str, asset: str, units: int) -> None:
        """Spend what was held back."""
        balance = self._touch(account, asset)
        if balance.locked < units:
            raise ValueError(f"{account} {asset}: expected at least {units} locked, found {balance.locked}")
        balance.locked -= units

    def collect_touched(self) -> list[tuple[str, str, Balance]]:
        """Return the balances changed since the last call, in the order of their first change."""
        touched = [(account, asset, self.balance(account, asset)) for account, asset in self._touched]
        self._touched.clear()
        return touched

    def _touch(self, account: str, asset: str) -> Balance:
        self._touched[account, asset] = None
        return self.balance(account, asset)
