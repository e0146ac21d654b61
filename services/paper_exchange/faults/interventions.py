"""What happens to accounts and symbols without a request over the API.

The owner trades by hand, another program uses the key, money comes and goes, a symbol stops trading or changes.

Invariant: each is one line of the journal before anybody is told.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.new_orders import generated_id, read_new_order
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue import reports
from services.paper_exchange.venue.errors import unknown_order
from services.paper_exchange.venue.records import transfer_record
from services.paper_exchange.venue.rules import LISTED, text_of, units_of
from services.paper_exchange.venue.venue import Venue

LIMITS: Final[Mapping[str, str]] = {
    "maxPrice": "price_max_units",
    "maxQty": "lots_max_units",
    "maxMarketQty": "market_lots_max",
    "minNotional": "notional_min_units",
    "maxNotional": "notional_max_units",
    "maxNumOrders": "orders_max",
    "maxNumAlgoOrders": "stops_max",
    "maxNumOrderLists": "lists_max",
    "maxPosition": "position_max_units",
}
"""The limits that can be changed, as exchangeInfo names them, and what they are called here."""
Json = dict[str, Any]


class Interventions:
    """Do to accounts and symbols what their owners or the exchange would.

    Args:
        venue: Where it is done.
        feed: Tells the accounts.
    """

    def __init__(self, *, venue: Venue, feed: Feed) -> None:
        self._venue = venue
        self._feed = feed

    def place(self, account: str, values: Mapping[str, str]) -> Json:
        """Place an order as the owner of the account would by hand, or another program with its key.

        Raises:
            ApiError: The exchange refuses it.
        """
        parameters = Parameters(values)
        new = read_new_order(parameters, parameters.rules(self._venue.symbols))
        order, fills, prevented = self._venue.place(account, new)
        return reports.full(order, fills, prevented)

    def cancel(self, account: str, symbol: str, client_id: str | None) -> list[Json]:
        """Cancel the account's open orders on a symbol, or the one of this name.

        Raises:
            ApiError: There is none.
        """
        self._venue.advance()
        found = [
            order
            for order in self._venue.desk.open_orders(account, symbol)
            if client_id in (None, order.request.client_id)
        ]
        if not found:
            raise unknown_order()
        cancelled = []
        for order in found:
            if order.is_open:  # else it went with its list
                cancelled += self._venue.cancel(account, order, generated_id())
        return [reports.queried(order) for order in cancelled]

    def transfer(self, account: str, asset: str, amount: Decimal) -> Json:
        """Pay in, or out where the amount is negative, and return what the account then has.

        Raises:
            ApiError: There is not enough.
        """
        now_ms, ledger, units = self._venue.advance(), self._venue.ledger, units_of(amount)
        if units < 0:
            ledger.lock(account, asset, -units)
            ledger.pay(account, asset, -units)
        else:
            ledger.credit(account, asset, units)
        event = {"e": "balanceUpdate", "E": now_ms, "a": asset, "d": text_of(units), "T": now_ms}
        self._feed.on_account_event(account, event)
        self._venue.write(transfer_record(account, asset, units))
        balance = ledger.balance(account, asset)
        return {"asset": asset, "free": text_of(balance.free), "locked": text_of(balance.locked)}

    def relist(self, symbol: str, *, status: str | None, limits: Mapping[str, Decimal]) -> Json:
        """Give a symbol another status or other limits, and return how exchangeInfo shows it."""
        venue = self._venue
        venue.advance()
        changed = {LIMITS[name]: _limit(symbol, name, value) for name, value in limits.items()}
        venue.write(venue.listing.change(symbol, status=status or venue.listing.status(symbol), limits=changed))
        return dict(venue.listing.rules(symbol).describe(venue.status(symbol)))


def _limit(symbol: str, name: str, value: Decimal) -> int:
    if name.startswith("maxNum"):
        return int(value)
    units = units_of(value)
    return units // LISTED[symbol].step_units if name == "maxMarketQty" else units
