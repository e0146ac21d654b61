"""Which accounts a parsed configuration names, and what it says of each.

Invariant: the names stand in `exchange.accounts`, in the order in which people count them.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from libs.common.configuration.keys import ACCOUNTS, account_of
from libs.common.configuration.mistakes import Mistake, shown
from libs.common.configuration.sections import TradingConfiguration

NAMES: Final = "exchange.accounts"


def named_accounts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parsed configuration whose `exchange.accounts` has the names of `accounts`, unless it has its own."""
    accounts, exchange = content.get(ACCOUNTS), content.get("exchange", {})
    if not (isinstance(accounts, Mapping) and accounts and isinstance(exchange, Mapping)) or ACCOUNTS in exchange:
        return dict(content)
    return {**content, "exchange": {**exchange, ACCOUNTS: list(accounts)}}


def without_nulls(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parsed configuration in which accounts have nothing that is null: it was not said, or is taken back."""
    accounts = content.get(ACCOUNTS)
    if not isinstance(accounts, Mapping):
        return dict(content)
    return {**content, ACCOUNTS: {name: _said(own) for name, own in accounts.items()}}


def unlisted(content: Mapping[str, Any], *, where: str) -> list[Mistake]:
    """Return a mistake for each account that says something and is not one of `exchange.accounts`."""
    accounts, exchange = content.get(ACCOUNTS), content.get("exchange", {})
    if not (isinstance(accounts, Mapping) and isinstance(exchange, Mapping)):
        return []  # refused where it is validated
    listed = exchange.get(ACCOUNTS, TradingConfiguration().exchange.accounts)
    if not (isinstance(listed, list | tuple) and all(isinstance(name, str) for name in listed)):
        return []
    mistakes = []
    for name in accounts:
        if name not in listed:
            nearest = difflib.get_close_matches(name[:100], listed, n=1, cutoff=0.0)
            hint = f"did you mean {nearest[0]!r}?" if nearest else ""
            expected = f"one of {NAMES} ({', '.join(listed)})"
            mistakes.append(Mistake(f"{where}: {ACCOUNTS}.{shown(name)}", expected, repr(shown(name)), hint))
    return mistakes


def accounts_of(keys: Iterable[str]) -> frozenset[str] | None:
    """Return the accounts whose own values these keys are; None: a value that all share is among them."""
    accounts = {account_of(key) for key in keys}
    return None if None in accounts else frozenset(account for account in accounts if account is not None)


def _said(own: Any) -> Any:
    if not isinstance(own, Mapping):
        return own
    return {name: _said(value) for name, value in own.items() if value is not None}
