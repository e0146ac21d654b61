"""Start and restart, which are one path: register what may be at the exchange before anything else.

Invariant: what a predecessor may have sent is unknown until the exchange says otherwise; nothing is sent again.
"""

from collections.abc import Sequence
from functools import partial

from libs.common.contracts.event import Event
from services.trade_executor.service.bookkeeping import Bookkeeper
from services.trade_executor.service.ports import Records, Transactions


class Recovery:
    """Runs when the role is taken, before approvals are consumed."""

    def __init__(self, *, accounts: Sequence[str], bookkeeper: Bookkeeper, transactions: Transactions) -> None:
        self._accounts = accounts
        self._bookkeeper = bookkeeper
        self._transactions = transactions

    async def register_unknown(self) -> None:
        """Have every order looked for whose fate is not recorded.

        Raises:
            RetryableError: The database is away.
        """
        for account in self._accounts:
            await self._transactions.apply(partial(self._register, account=account))

    async def _register(self, records: Records, *, account: str) -> Sequence[Event]:
        events: list[Event] = []
        for order in await records.unresolved(account):
            events.extend(await self._bookkeeper.unknown(records, order, "RESTARTED"))
        return events
