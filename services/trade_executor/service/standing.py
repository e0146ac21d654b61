"""Whether each account may be traded at all: reconciled, and ours alone."""

from dataclasses import dataclass, field
from datetime import datetime

from libs.common.errors import ConfigurationError
from libs.exchange.identities import Identities


@dataclass(slots=True)
class Standing:
    """What reconciliation found; nothing is entered for an account before it has.

    Attributes:
        reconciled: Accounts that were compared with the exchange.
        reconciled_at: When the last comparison of each began that was made to the end.
        foreign: Accounts in which somebody else may be using our names of orders.
        other_installations: The first other installation that was seen on an account.
        identities: Who each account is at the exchange.
    """

    reconciled: set[str] = field(default_factory=set)
    reconciled_at: dict[str, datetime] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    other_installations: dict[str, str] = field(default_factory=dict)
    identities: Identities = field(default_factory=Identities)

    def objection(self, account: str) -> str | None:
        """Return why no position may be opened, or None."""
        if account in self.foreign:
            return "FOREIGN_INSTALLATION"
        return None if account in self.reconciled else "NOT_RECONCILED"

    def is_ready(self, accounts: tuple[str, ...]) -> bool:
        """Whether every account may be traded."""
        return all(self.objection(account) is None for account in accounts)

    def refuse_company(self, account: str) -> None:
        """Refuse to start on an account that another installation trades.

        Raises:
            ConfigurationError: It was seen there.
        """
        installation = self.other_installations.get(account)
        if installation is not None:
            raise ConfigurationError(
                where=f"the exchange account {account}",
                expected="no orders of another installation",
                found=f"orders of the installation {installation}",
                hint="Stop the other one and cancel its orders; two systems on one account would trade against each "
                "other. What it executed is listed by `trader reconcile show`.",
            )
