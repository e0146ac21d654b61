"""Binance Spot's REST and WebSocket API in front of the venue."""
