"""The backtest: the second shell around the core, over recorded candles in place of the exchange.

Invariant: what is decided is decided by the code that trades live (strategies, screening, risk rules, sizing, matching,
position accounting); this package only feeds it, fills its orders by stated rules, and reports.
"""
