"""Position manager: reads fills, orders.updates, market.candles, market.ticks; writes positions, equity, exit signals.

Owns the ledger in Postgres: positions, balances, equity snapshots and the days' baselines.
"""
