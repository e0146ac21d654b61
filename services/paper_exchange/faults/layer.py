"""The faults of one exchange, put in their places.

Invariant: an exchange without this layer pays one look at an attribute for each request, event and flush, and no more.
"""

from collections.abc import Callable
from random import Random

from libs.trading.matching import TimeInForce
from services.paper_exchange.exchange import Exchange
from services.paper_exchange.faults.faults import Faults
from services.paper_exchange.faults.interventions import Interventions
from services.paper_exchange.faults.menu import OrderPartFilled
from services.paper_exchange.faults.requests import RequestFaults
from services.paper_exchange.faults.selection import Armed, Point, Subject
from services.paper_exchange.faults.streams import MarketFaults, UserFaults
from services.paper_exchange.venue.orders import NewOrder


class FaultLayer:
    """What makes an instrument of an exchange.

    Args:
        exchange: The exchange, before it serves anybody.
        randomness: Decides what is left to chance.
        tell: Writes a line into the exchange's log.
    """

    def __init__(self, exchange: Exchange, *, randomness: Random, tell: Callable[[str], None]) -> None:
        venue = exchange.venue
        self.faults = Faults(randomness=randomness, now_ms=lambda: venue.now_ms, note=venue.note, tell=tell)
        self.interventions = Interventions(venue=venue, feed=exchange.feed)
        requests = RequestFaults(faults=self.faults, gate=exchange.gate, venue=venue)
        exchange.server.faults = exchange.socket_api.faults = requests
        exchange.socket_api.user_faults = UserFaults(self.faults)
        exchange.feed.faults = MarketFaults(self.faults)
        venue.execution_rule = self._lots_max

    def _lots_max(self, account: str, new: NewOrder) -> int | None:
        """Return how much of an order may trade, where a fault bounds it."""

        def applies(_: Armed) -> bool:
            return new.lots > 1 and new.time_in_force is not TimeInForce.FOK

        subject = Subject(account=account, symbol=new.rules.symbol, side=new.side.value, client_id=new.client_id)
        match self.faults.strike(Point.EXECUTION, subject, applies=applies):
            case OrderPartFilled() as fault:
                return max(1, int(new.lots * fault.share))
        return None
