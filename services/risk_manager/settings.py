"""Settings of the risk manager: what every service needs, and the arming of live trading."""

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from environment variables with the prefix `TRADER_`.

    Attributes:
        live_armed: Accounts, separated by commas, that may trade for real; paper trading needs none.
    """

    live_armed: str = ""

    @property
    def armed_accounts(self) -> frozenset[str]:
        """The accounts that `live_armed` names."""
        return frozenset(name.strip() for name in self.live_armed.split(",") if name.strip())
