"""Every Redis key in one table of functions: who owns it, what it holds, how long it lives.

An account's keys share the hash tag `{account}`, so that a script may touch several of them on a cluster too.

| key | owner | holds | lifetime |
| --- | --- | --- | --- |
| `permit:{account}` | risk_manager | leave to send entries: epochs, JSON | 1 s, renewed every 300 ms |
| `halts:{account}` | set by anyone, removed by risk_manager | halts of the account: id → JSON | until resumed |
| `halts-in-part:{account}` | the same | halts of a symbol or strategy: id → JSON | until resumed |
| `risk-fence:{account}` | risk_manager | the newest epoch that wrote here | for ever |
| `risk-claims:{account}` | risk_manager | exposure: position or intent → amount | rebuilt from Postgres |
| `risk-generation:{account}` | risk_manager | token of the rebuild that made the claims | rebuilt from Postgres |
| `price:{symbol}` | market_monitor | newest bid, ask and trade, JSON of decimal strings | 60 s, renewed by moves |
"""


def permit(account: str) -> str:
    """Return the key of an account's permit."""
    return f"permit:{{{account}}}"


def halts(account: str) -> str:
    """Return the key of the halts that cover an account."""
    return f"halts:{{{account}}}"


def halts_in_part(account: str) -> str:
    """Return the key of the halts of an account's symbols and strategies."""
    return f"halts-in-part:{{{account}}}"


def risk_fence(account: str) -> str:
    """Return the key of the newest epoch that wrote an account's risk state."""
    return f"risk-fence:{{{account}}}"


def risk_claims(account: str) -> str:
    """Return the key of an account's exposure."""
    return f"risk-claims:{{{account}}}"


def risk_generation(account: str) -> str:
    """Return the key of the token that says which rebuild made the claims."""
    return f"risk-generation:{{{account}}}"


def latest_price(symbol: str) -> str:
    """Return the key of a symbol's newest prices."""
    return f"price:{symbol}"
