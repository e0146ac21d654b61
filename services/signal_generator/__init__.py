"""Signal generator: reads candles, market status and trading state, writes signals and holds, owns nothing."""
