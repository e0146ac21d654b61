"""The risk manager's own rules: how the trading state changes, what an order in flight claims of the limits."""
