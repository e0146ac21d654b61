"""Position manager: reads fills, orders.updates, candles and ticks; writes positions, stops, equity, exit signals.

Owns the ledger in Postgres: positions, balances, equity snapshots and the days' baselines.
"""
