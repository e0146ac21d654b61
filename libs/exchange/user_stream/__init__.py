"""What happens to an account, as the exchange tells it: our own client of the WebSocket API.

ccxt.pro coalesces fills (one wake-up with the final state), so it cannot serve this stream.
"""
