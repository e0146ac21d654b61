"""Market monitor: reads the exchange, writes ticks, candles, market status and alerts, owns the latest prices."""
