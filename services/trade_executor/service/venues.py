"""The exchange as each account sees it: its gateway, its clock and the symbols' rules."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.common.clock import Clock, epoch_ms
from libs.exchange.instruments import Listing
from libs.exchange.limits import Purpose
from libs.exchange.orders.port import OrderGateway


@dataclass(slots=True)
class Venues:
    """Gateways by account, and the rules of the symbols once they are known.

    Attributes:
        opened_at: When a symbol was seen to trade again after a break.
        rules_doubted: Set when a refusal says that the exchange has other rules than we.
    """

    gateways: Mapping[str, OrderGateway]
    clock: Clock
    listings: dict[str, Listing] = field(default_factory=dict)
    opened_at: dict[str, datetime] = field(default_factory=dict)
    rules_doubted: asyncio.Event = field(default_factory=asyncio.Event)

    def gateway(self, account: str) -> OrderGateway:
        """Return the account's gateway."""
        return self.gateways[account]

    def listing(self, symbol: str) -> Listing | None:
        """Return a symbol's rules, None while they are unknown."""
        return self.listings.get(symbol)

    def learn(self, found: Mapping[str, Listing]) -> Sequence[str]:
        """Take the rules as they are now; return the symbols whose rules were others."""
        known = dict(self.listings)
        self.listings.update(found)
        changed = [symbol for symbol, listing in found.items() if symbol in known and known[symbol] != listing]
        for symbol in changed:
            if found[symbol].instrument.trading and not known[symbol].instrument.trading:
                self.opened_at[symbol] = self.clock.now()
        return changed

    def refuse_lists(self, symbol: str) -> None:
        """Send no entry of a symbol as a list until its rules are read anew."""
        if (listing := self.listings.get(symbol)) is not None:
            self.listings[symbol] = replace(listing, oto_allowed=False)

    def exchange_ms(self, account: str) -> int | None:
        """Return the exchange's time, None before it was measured."""
        offset_ms = self.gateways[account].clock_offset_ms
        return None if offset_ms is None else epoch_ms(self.clock.now()) + offset_ms

    async def identity(self, account: str) -> str | None:
        """Ask for the exchange's own id of an account; None where it tells none.

        Raises:
            RetryableError: It did not answer.
        """
        gateway = self.gateways[account]
        await gateway.measure_clock()
        await gateway.balances()
        return gateway.identity

    def wait_s(self, account: str, purpose: Purpose, *, orders: int = 0) -> float:
        """Return the seconds until this purpose may ask, or send this many orders; 0: now."""
        return self.gateways[account].wait_s(purpose, orders=orders)
