"""The gateway to Binance: market data, orders, the user stream, each behind a port of its own.

Only `market_monitor` and `trade_executor` load ccxt, through the adapters here.
"""
