"""For how long a bought position stands at the exchange without the orders that protect it."""
