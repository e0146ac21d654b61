"""The accounts in memory, exactly as far as they are committed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from services.position_manager.domain.equity import AccountBook, History
from services.position_manager.service.ports import AccountBalances, Exchange, Ledger

_log = structlog.get_logger(__name__)

Apply = Callable[[Callable[[Ledger], Awaitable[Sequence[Event]]]], Awaitable[None]]
"""Runs a piece of work in a transaction of the owner (`Owner.apply`)."""


@dataclass(slots=True)
class Accounts:
    """Books and histories by account; loaded when the ledger becomes ours, changed after each commit."""

    books: dict[str, AccountBook] = field(default_factory=dict)
    histories: dict[str, History] = field(default_factory=dict)

    async def recover(self, names: Sequence[str], *, apply: Apply, exchange: Exchange, clock: Clock) -> None:
        """Load every account, and open those that are new with what the exchange holds for them now."""
        await apply(partial(self._load, clock=clock))
        missing = [name for name in names if name not in self.books]
        for name in missing:
            balances = await exchange.balances(name)
            await apply(partial(_open, name, balances))
        if missing:
            await apply(partial(self._load, clock=clock))
        for book in self.books.values():
            if book.opening_quote <= 0:
                _log.warning(
                    "Nothing to trade with: the account began without its quote currency", account=book.account
                )

    async def _load(self, ledger: Ledger, *, clock: Clock) -> Sequence[Event]:
        now = clock.now()
        self.books = {book.account: book for book in await ledger.books()}
        self.histories = {account: await ledger.history(account, now) for account in self.books}
        return []


async def _open(account: str, balances: AccountBalances, ledger: Ledger) -> Sequence[Event]:
    await ledger.open_account(account, balances)
    return []
