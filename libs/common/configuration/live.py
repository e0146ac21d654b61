"""The configuration in force: what the parts of a process ask when they need a value, so that a change reaches them."""

from libs.common.configuration.sections import TradingConfiguration
from libs.common.contracts.events import ConfigurationChanged


class LiveConfiguration:
    """Holds the newest configuration that this process knows of.

    Attributes:
        current: The configuration; never kept by whoever reads it.
        version: Its number among the stored ones; 1 is what the first start was given.
        hash: Its hash, which travels with every approval and heartbeat.
        told: The newest version that this process was told; None: none yet.
    """

    def __init__(self, started_with: TradingConfiguration, *, version: int = 1) -> None:
        self.current = started_with
        self.version = version
        self.hash = started_with.hash
        self.told: ConfigurationChanged | None = None
        self._of: dict[str, TradingConfiguration] = {}

    def of(self, account: str) -> TradingConfiguration:
        """Return the configuration as it holds for an account now; never kept by whoever reads it."""
        if account not in self._of:
            self._of[account] = self.current.for_account(account)
        return self._of[account]

    def accept(self, version: int, configuration: TradingConfiguration) -> bool:
        """Take over a stored version; False if a newer one, or the same, is in force."""
        if version < self.version or (version == self.version and configuration == self.current):
            return False
        self.current, self.version, self.hash = configuration, version, configuration.hash
        self._of = {}
        return True
