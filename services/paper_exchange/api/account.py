"""The signed endpoints of an account: balances, trades, commissions and what it may still do.

Invariant: an account sees only what is its own.
"""

from typing import Any
from zlib import crc32

from services.paper_exchange.api.gate import Call, Endpoint, signed_query
from services.paper_exchange.api.limits import RATE_LIMITS, Limits
from services.paper_exchange.api.parameters import Parameters, time_span, within
from services.paper_exchange.venue import reports
from services.paper_exchange.venue.rules import COMMISSION_RATE, text_of, units_of
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
_BIPS = 10_000


class Account:
    """Answers of the endpoints that show an account."""

    def __init__(self, *, venue: Venue, limits: Limits) -> None:
        self._venue = venue
        self._limits = limits

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of the account."""
        trades = ("orderId", "fromId", "startTime", "endTime", "limit")
        symbol = ("symbol",)
        return [
            signed_query("account", self.account, 20, allowed=("omitZeroBalances",), ws="account.status"),
            signed_query("account/commission", self.commission, 20, mandatory=symbol, ws="account.commission"),
            signed_query("myTrades", self.my_trades, _my_trades_weight, mandatory=symbol, allowed=trades),
            signed_query("rateLimit/order", self.order_limits, 40, ws="account.rateLimits.orders"),
        ]

    def account(self, call: Call) -> Json:
        """Return the account and its balances."""
        omit_zero = "omitZeroBalances" in call.parameters and call.parameters.text("omitZeroBalances") == "true"
        bips = int(COMMISSION_RATE * _BIPS)
        rate = text_of(units_of(COMMISSION_RATE))
        return {
            "makerCommission": bips,
            "takerCommission": bips,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {"maker": rate, "taker": rate, "buyer": text_of(0), "seller": text_of(0)},
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": False,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": call.now_ms,
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": text_of(balance.free), "locked": text_of(balance.locked)}
                for asset, balance in self._venue.ledger.balances(call.account).items()
                if balance.free or balance.locked or not omit_zero
            ],
            "permissions": ["SPOT"],
            "uid": crc32(call.account.encode()),
        }

    def commission(self, call: Call) -> Json:
        """Return the commission rates on a symbol."""
        rate, none = text_of(units_of(COMMISSION_RATE)), text_of(0)
        zeros = {"maker": none, "taker": none, "buyer": none, "seller": none}
        return {
            "symbol": call.parameters.rules(self._venue.symbols).symbol,
            "standardCommission": {"maker": rate, "taker": rate, "buyer": none, "seller": none},
            "specialCommission": zeros,
            "taxCommission": zeros,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": text_of(0),
            },
        }

    def order_limits(self, call: Call) -> list[Json]:
        """Return how many orders the account has placed of how many it may."""
        counts = self._limits.count_orders(call.account, 0, call.now_ms)
        limits = [limit for limit in RATE_LIMITS if limit["rateLimitType"] == "ORDERS"]
        return [limit | {"count": count} for limit, count in zip(limits, counts, strict=True)]

    def my_trades(self, call: Call) -> list[Json]:
        """Return the account's trades on a symbol."""
        parameters = call.parameters
        symbol = parameters.rules(self._venue.symbols).symbol
        order_id, first_id = parameters.optional_integer("orderId"), parameters.optional_integer("fromId")
        start_ms, end_ms = time_span(parameters)
        fills = [
            fill
            for fill in self._venue.desk.fills(call.account, symbol)
            if (order_id is None or fill.order_id == order_id)
            and (first_id is None or fill.trade_id >= first_id)
            and within(fill.at_ms, start_ms, end_ms)
        ]
        limit = parameters.limit(default=500, maximum=1_000)
        from_start = first_id is not None or start_ms is not None
        chosen = fills[:limit] if from_start else fills[-limit:]
        return [reports.my_trade(fill) for fill in chosen]


def _my_trades_weight(parameters: Parameters) -> int:
    return 5 if "orderId" in parameters else 20
