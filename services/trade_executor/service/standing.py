"""Whether each account may be traded at all: reconciled, and ours alone."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Standing:
    """What reconciliation found; nothing is entered for an account before it has."""

    reconciled: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)

    def objection(self, account: str) -> str | None:
        """Return why no position may be opened, or None."""
        if account in self.foreign:
            return "FOREIGN_INSTALLATION"
        return None if account in self.reconciled else "NOT_RECONCILED"

    def is_ready(self, accounts: tuple[str, ...]) -> bool:
        """Whether every account may be traded."""
        return all(self.objection(account) is None for account in accounts)
