"""Public market data: live trades and best quotes, klines, the exchange's clock, which symbols trade.

`port` says what there is, `frames` reads what the exchange sends, `ccxt_pro` fetches it.
"""
