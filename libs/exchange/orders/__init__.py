"""The way of orders to Binance and back: what is sent, what comes back, what it proves.

`port` has the types and the `OrderGateway` that services use; `ccxt_gateway` implements it (and alone loads ccxt).
"""
