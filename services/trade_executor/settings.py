"""Where the executor finds what it needs, beyond what every service knows."""

from datetime import timedelta

from pydantic import Field

from libs.common.settings import ServiceSettings
from services.trade_executor.domain.orders import DOUBT, Doubt


class Settings(ServiceSettings):
    """The executor's settings.

    `exchange_keys_file` must hold a key with trading rights for each account of the configuration.

    Attributes:
        fence_ms: How long beyond its receive window an order that may have been sent is waited for. Less than the
            default is for exchanges that answer sooner than Binance promises: the tests' own.
        quarantine_s: How long an order that was not found then still counts.
    """

    fence_ms: int = Field(default=DOUBT.fence_ms, ge=100, le=600_000)
    quarantine_s: float = Field(default=DOUBT.quarantine.total_seconds(), ge=0.1, le=3_600)

    @property
    def doubt(self) -> Doubt:
        """How long an order without an answer is waited for."""
        return Doubt(fence_ms=self.fence_ms, quarantine=timedelta(seconds=self.quarantine_s))
