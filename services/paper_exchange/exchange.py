"""The whole exchange put together, without a network.

Invariant: everything that acts on the venue does so from one thread.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from libs.common.clock import Clock, epoch_ms
from services.paper_exchange.api.account import Account
from services.paper_exchange.api.connection import SocketRules
from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.gate import Gate
from services.paper_exchange.api.keys import ApiKey
from services.paper_exchange.api.limits import Limits
from services.paper_exchange.api.market_data import MarketData
from services.paper_exchange.api.periodic import Periodic
from services.paper_exchange.api.server import Server
from services.paper_exchange.api.socket_api import SocketApi
from services.paper_exchange.api.tickers import Tickers
from services.paper_exchange.api.trading import Trading
from services.paper_exchange.api.wallet import Wallet
from services.paper_exchange.journal import Journal
from services.paper_exchange.market.tape import Market
from services.paper_exchange.venue.rules import UNIT
from services.paper_exchange.venue.venue import Opening, Venue

VISITOR = "visitor"
"""The account of other programs."""

_OF_VISITOR = {"USDT": 100_000 * UNIT, "BTC": UNIT, "ETH": 10 * UNIT}
_OF_OTHERS = {"USDT": 10_000 * UNIT, "BTC": UNIT // 20, "ETH": UNIT // 2, "BNB": 2 * UNIT}


def openings_of(accounts: Sequence[str]) -> tuple[Opening, ...]:
    """Return what these accounts and the visitor own when they are new."""
    owned = {**dict.fromkeys(accounts, _OF_OTHERS), VISITOR: _OF_VISITOR}
    return tuple(Opening(account, asset, units) for account, assets in owned.items() for asset, units in assets.items())


OPENINGS = openings_of(("main",))

# Update ids begin at the time of the start, so they rise over restarts; a book changes less often than this a ms.
_UPDATE_IDS_PER_MS = 16


class Exchange:
    """Venue, feed and API of one exchange.

    Args:
        clock: Exchange time.
        tape: The market.
        speed: Market time per exchange time.
        seed: Selects the quantities of the deep book.
        journal_dir: Where the journal lies.
        keys: The API keys.
        openings: What each account owns when it is new.
        stream_rules: The bounds of market data connections; Binance's unless a test wants shorter ones.
        socket_api_rules: Those of the WebSocket API.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tape: Market,
        speed: Fraction,
        seed: int,
        journal_dir: Path,
        keys: Sequence[ApiKey],
        openings: Sequence[Opening] = OPENINGS,
        stream_rules: SocketRules | None = None,
        socket_api_rules: SocketRules | None = None,
    ) -> None:
        first_update_id = epoch_ms(clock.now()) * _UPDATE_IDS_PER_MS
        self.feed = Feed(symbols=tape.symbols, first_update_id=first_update_id)
        self.venue = Venue(
            clock=clock,
            tape=tape,
            speed=speed,
            journal=Journal(journal_dir),
            audience=self.feed,
            openings=openings,
            seed=seed,
        )
        limits = Limits()
        changes = self.feed.changes
        market_data = MarketData(venue=self.venue, update_id=lambda symbol: changes[symbol].update_id)
        tickers = Tickers(venue=self.venue)
        self.endpoints = (
            *market_data.endpoints(),
            *tickers.endpoints(),
            *Trading(venue=self.venue, limits=limits).endpoints(),
            *Account(venue=self.venue, limits=limits).endpoints(),
            *Wallet(venue=self.venue).endpoints(),
        )
        self.gate = Gate(venue=self.venue, keys=keys, limits=limits)
        self.socket_api = SocketApi(
            venue=self.venue,
            feed=self.feed,
            gate=self.gate,
            limits=limits,
            endpoints={endpoint.ws_method: endpoint for endpoint in self.endpoints if endpoint.ws_method},
        )
        self.server = Server(
            venue=self.venue,
            endpoints=self.endpoints,
            gate=self.gate,
            limits=limits,
            socket_api=self.socket_api,
            feed=self.feed,
            stream_rules=stream_rules,
            socket_api_rules=socket_api_rules,
        )
        self.periodic = Periodic(venue=self.venue, feed=self.feed, tickers=tickers)
