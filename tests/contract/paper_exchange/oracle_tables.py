"""What is asked and watched for the oracle, and the model that each answer and event must fit."""

from typing import Any

from binance_sdk_spot.rest_api import models as rest
from binance_sdk_spot.websocket_api import models as socket_api
from binance_sdk_spot.websocket_streams import models as streams
from pydantic import BaseModel

Json = dict[str, Any]
Model = type[BaseModel]
BTC = {"symbol": "BTCUSDT"}
BOTH = {"symbols": '["BTCUSDT","ETHUSDT"]'}
MINI = {"type": "MINI"}
MINUTES = BTC | {"interval": "1m", "limit": 3}

PUBLIC: tuple[tuple[str, Json, Model], ...] = (
    ("time", {}, rest.TimeResponse),
    ("exchangeInfo", {}, rest.ExchangeInfoResponse),
    ("depth", BTC, rest.DepthResponse),
    ("trades", BTC, rest.GetTradesResponseInner),
    ("historicalTrades", BTC, rest.GetTradesResponseInner),
    ("aggTrades", BTC, rest.AggTradesResponseInner),
    ("avgPrice", BTC, rest.AvgPriceResponse),
    ("ticker", BTC, rest.TickerResponse1),
    ("ticker", BOTH, rest.TickerResponse2Inner),
    ("ticker/24hr", BTC, rest.Ticker24hrResponse1),
    ("ticker/24hr", BOTH, rest.Ticker24hrResponse2Inner),
    ("ticker/tradingDay", BTC, rest.TickerTradingDayResponse1),
    ("ticker/tradingDay", BOTH, rest.TickerTradingDayResponse2Inner),
    ("ticker/price", BTC, rest.TickerPriceResponse1),
    ("ticker/price", {}, rest.TickerPriceResponse2Inner),
    ("ticker/bookTicker", BTC, rest.TickerBookTickerResponse1),
    ("ticker/bookTicker", {}, rest.TickerBookTickerResponse2Inner),
)
# Shorter forms of what has a model: they may lack fields, but not have others.
SHORT_FORMS: tuple[tuple[str, Json, Model], ...] = tuple(
    (path, symbols | MINI, model)
    for path, symbols, model in PUBLIC
    if path in ("ticker", "ticker/24hr", "ticker/tradingDay")
)
SIGNED: tuple[tuple[str, Json, Model], ...] = (
    ("account", {}, rest.GetAccountResponse),
    ("account/commission", BTC, rest.AccountCommissionResponse),
    ("rateLimit/order", {}, rest.RateLimitOrderResponseInner),
    ("openOrders", {}, rest.GetOpenOrdersResponseInner),
    ("allOrders", BTC, rest.AllOrdersResponseInner),
    ("myTrades", BTC, rest.MyTradesResponseInner),
    ("openOrderList", {}, rest.OpenOrderListResponseInner),
    ("allOrderList", {}, rest.AllOrderListResponseInner),
)
SOCKET_PUBLIC: tuple[tuple[str, Json, Model], ...] = (
    ("ping", {}, socket_api.PingResponse),
    ("time", {}, socket_api.TimeResponse),
    ("exchangeInfo", {}, socket_api.ExchangeInfoResponse),
    ("depth", BTC, socket_api.DepthResponse),
    ("trades.recent", BTC, socket_api.TradesRecentResponse),
    ("trades.historical", BTC, socket_api.TradesHistoricalResponse),
    ("trades.aggregate", BTC, socket_api.TradesAggregateResponse),
    ("klines", MINUTES, socket_api.KlinesResponse),
    ("uiKlines", MINUTES, socket_api.UiKlinesResponse),
    ("avgPrice", BTC, socket_api.AvgPriceResponse),
    ("ticker", BTC, socket_api.TickerResponse1),
    ("ticker", {"symbols": ["BTCUSDT"]}, socket_api.TickerResponse2),
    ("ticker.24hr", BTC, socket_api.Ticker24hrResponse1),
    ("ticker.24hr", {}, socket_api.Ticker24hrResponse2),
    ("ticker.tradingDay", BTC, socket_api.TickerTradingDayResponse1),
    ("ticker.tradingDay", {"symbols": ["BTCUSDT"]}, socket_api.TickerTradingDayResponse2),
    ("ticker.price", BTC, socket_api.TickerPriceResponse1),
    ("ticker.price", {}, socket_api.TickerPriceResponse2),
    ("ticker.book", BTC, socket_api.TickerBookResponse1),
    ("ticker.book", {}, socket_api.TickerBookResponse2),
    ("session.status", {}, socket_api.SessionStatusResponse),
    ("session.logout", {}, socket_api.SessionLogoutResponse),
    ("session.subscriptions", {}, socket_api.SessionSubscriptionsResponse),
)
SOCKET_SIGNED: tuple[tuple[str, Json, Model], ...] = (
    ("account.status", {}, socket_api.AccountStatusResponse),
    ("account.commission", BTC, socket_api.AccountCommissionResponse),
    ("account.rateLimits.orders", {}, socket_api.AccountRateLimitsOrdersResponse),
    ("openOrders.status", {}, socket_api.OpenOrdersStatusResponse),
    ("openOrderLists.status", {}, socket_api.OpenOrderListsStatusResponse),
    ("allOrders", BTC, socket_api.AllOrdersResponse),
    ("allOrderLists", {}, socket_api.AllOrderListsResponse),
    ("myTrades", BTC, socket_api.MyTradesResponse),
)
STREAMS: dict[str, Model] = {
    "btcusdt@trade": streams.TradeResponse,
    "btcusdt@aggTrade": streams.AggTradeResponse,
    "btcusdt@kline_1s": streams.KlineResponse,
    "btcusdt@kline_1m": streams.KlineResponse,
    "btcusdt@kline_1d@+08:00": streams.KlineOffsetResponse,
    "btcusdt@depth": streams.DiffBookDepthResponse,
    "btcusdt@depth@100ms": streams.DiffBookDepthResponse,
    "btcusdt@depth5": streams.PartialBookDepthResponse,
    "btcusdt@depth10@100ms": streams.PartialBookDepthResponse,
    "btcusdt@depth20": streams.PartialBookDepthResponse,
    "btcusdt@bookTicker": streams.BookTickerResponse,
    "btcusdt@miniTicker": streams.MiniTickerResponse,
    "!miniTicker@arr": streams.MiniTickerResponse,
    "btcusdt@ticker": streams.TickerResponse,
    "btcusdt@ticker_1h": streams.RollingWindowTickerResponse,
    "btcusdt@ticker_4h": streams.RollingWindowTickerResponse,
    "btcusdt@ticker_1d": streams.RollingWindowTickerResponse,
    "!ticker_1h@arr": streams.RollingWindowTickerResponse,
    "btcusdt@avgPrice": streams.AvgPriceResponse,
}
EVENTS: dict[str, Model] = {
    "executionReport": socket_api.ExecutionReport,
    "outboundAccountPosition": socket_api.OutboundAccountPosition,
    "listStatus": socket_api.ListStatus,
    "eventStreamTerminated": socket_api.EventStreamTerminated,
}
