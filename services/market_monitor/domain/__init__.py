"""What the market monitor knows of markets, pure: candles, their repair, quotes, anomalies, the exchange's health.

Times are milliseconds that the caller passes in; nothing here reads a clock.
"""
