"""Paper exchange: reads a recorded or generated market, serves Binance Spot's REST and WebSocket API, owns its journal."""
