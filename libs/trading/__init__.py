"""The functional core: everything that decides, and nothing that reads a clock, draws a number or talks to anyone.

Invariant: only the standard library is imported here; time and randomness are parameters, so that the live system,
the paper exchange and a backtest run the same decisions.
"""
