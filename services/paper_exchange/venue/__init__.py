"""The exchange behind the API: symbols, accounts, orders, lists and how they fill."""
