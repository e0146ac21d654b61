"""What several dashboards write alike."""

from typing import Final

from deploy.monitoring.rules import ALERT

OF_ACCOUNT: Final = '{account=~"$account"}'
OF_JOB: Final = '{job=~"$job"}'
YES_OR_NO: Final = ((1.0, "yes", "green"), (0.0, "no", "red"))
ACCOUNT: Final = (("account", "trader_trading_state"),)
JOB: Final = (("job", "trader_ready"),)


def per_account(metric: str) -> str:
    """Return PromQL of a gauge of the chosen accounts, whichever process shows it."""
    return f"max by (account) ({metric}{OF_ACCOUNT})"


def measure(alert: str) -> str:
    """Return PromQL of what an alert looks at."""
    return ALERT[alert].measure
