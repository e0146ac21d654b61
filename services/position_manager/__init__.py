"""Position manager: reads fills, orders.updates, market.ticks; writes positions, account.equity, exit signals.

Owns the ledger in Postgres: positions, balances, equity snapshots and the days' baselines.
"""
