"""Risk manager.

Reads signals, order updates, positions, equity, market status and control; answers every signal with one approval or
one refusal; owns the decisions, the exposure, the trading state and the permit.
"""
