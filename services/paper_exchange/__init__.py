"""Paper exchange: reads a recorded or generated market, serves Binance Spot's API, owns its accounts and journal."""
