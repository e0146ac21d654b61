"""What clients ask of /sapi, and of the futures exchanges, before they trade spot.

Invariant: no key can withdraw, and nothing but spot is offered.
"""

from typing import Any

from services.paper_exchange.api.gate import Call, Endpoint, Security
from services.paper_exchange.api.keys import Permission
from services.paper_exchange.venue.rules import COMMISSION_RATE, LISTED, text_of, units_of
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
_NAMES = {"BTC": "Bitcoin", "ETH": "Ethereum", "USDT": "TetherUS", "BNB": "BNB"}
_ZERO = "0"


class Wallet:
    """Answers of the endpoints around the account."""

    def __init__(self, *, venue: Venue) -> None:
        self._venue = venue

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints outside /api."""
        signed = Security.USER_DATA
        return [
            Endpoint("GET", "/sapi/v1/system/status", lambda _: {"status": 0, "msg": "normal"}),
            Endpoint("GET", "/sapi/v1/account/apiRestrictions", self.restrictions, security=signed),
            Endpoint("GET", "/sapi/v1/capital/config/getall", self.coins, weight=10, security=signed),
            Endpoint("GET", "/sapi/v1/asset/tradeFee", self.trade_fees, security=signed, allowed=("symbol",)),
            Endpoint("GET", "/sapi/v1/margin/allPairs", lambda _: [], security=signed, allowed=("symbol",)),
            Endpoint("GET", "/sapi/v1/margin/isolated/allPairs", lambda _: [], security=signed, allowed=("symbol",)),
            Endpoint("GET", "/sapi/v1/margin/allAssets", lambda _: [], security=signed, allowed=("asset",)),
            Endpoint("GET", "/sapi/v1/spot/delist-schedule", lambda _: [], security=signed),
            Endpoint("GET", "/fapi/v1/exchangeInfo", self.no_markets),
            Endpoint("GET", "/dapi/v1/exchangeInfo", self.no_markets),
        ]

    def restrictions(self, call: Call) -> Json:
        """Return what the key may do."""
        may_trade = call.key is not None and Permission.TRADE in call.key.permissions
        return {
            "ipRestrict": True,
            "createTime": self._venue.timeline.segments[0].wall_ms,
            "enableReading": True,
            "enableWithdrawals": False,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": may_trade,
            "enablePortfolioMarginTrading": False,
        }

    def coins(self, call: Call) -> list[Json]:
        """Return the coins, none of which can be deposited or withdrawn."""
        balances = self._venue.ledger.balances(call.account)
        return [
            {
                "coin": asset,
                "depositAllEnable": False,
                "free": text_of(balances[asset].free) if asset in balances else _ZERO,
                "freeze": _ZERO,
                "ipoable": _ZERO,
                "ipoing": _ZERO,
                "isLegalMoney": False,
                "locked": text_of(balances[asset].locked) if asset in balances else _ZERO,
                "name": name,
                "networkList": [],
                "storage": _ZERO,
                "trading": True,
                "withdrawAllEnable": False,
                "withdrawing": _ZERO,
            }
            for asset, name in _NAMES.items()
        ]

    def trade_fees(self, call: Call) -> list[Json]:
        """Return the commission rates by symbol."""
        rate = text_of(units_of(COMMISSION_RATE))
        symbols = call.parameters.symbols(self._venue.symbols) or self._venue.symbols
        return [{"symbol": LISTED[name].symbol, "makerCommission": rate, "takerCommission": rate} for name in symbols]

    def no_markets(self, call: Call) -> Json:
        """Return an exchange on which nothing trades, so that clients that always ask can start."""
        return {
            "timezone": "UTC",
            "serverTime": call.now_ms,
            "rateLimits": [],
            "exchangeFilters": [],
            "assets": [],
            "symbols": [],
        }
