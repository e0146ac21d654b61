"""What must be over before halts are resumed: their emergencies, and every difference with the exchange."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.contracts.vocabulary import StopTrigger
from libs.trading.money import plain
from libs.trading.risk import DailyLossLevel
from services.risk_manager.domain.audit_progress import AuditProgress
from services.risk_manager.domain.observed_market import ObservedMarket
from services.risk_manager.domain.resuming import OpenDifference
from services.risk_manager.service.losses import loss_of
from services.risk_manager.service.ports import RiskRecords


class Reconciliation(Protocol):
    """What the executor found when it compared our books with the exchange."""

    async def differences(self, account: str) -> Sequence[OpenDifference]:
        """Return the differences that nobody has settled.

        Raises:
            RetryableError: The database is away.
        """
        ...


class PersistingCauses:
    """Which emergencies are still there when somebody wants to resume."""

    def __init__(
        self,
        *,
        configuration: LiveConfiguration,
        market: ObservedMarket,
        audit: AuditProgress,
        books: Reconciliation,
        clock: Clock,
    ) -> None:
        self._configuration = configuration
        self._market = market
        self._audit = audit
        self._books = books
        self._clock = clock

    async def persisting(self, account: str, records: RiskRecords) -> Mapping[StopTrigger, str]:
        """Return the triggers whose cause is still there, with what was found."""
        causes = {}
        mark = await records.mark(account)
        if mark is not None:
            today = loss_of(mark, self._configuration.of(account))
            if today.level is DailyLossLevel.EXCEEDED:
                causes[StopTrigger.DAILY_LOSS_EXCEEDED] = f"a loss of {plain(today.loss)} of {plain(today.limit)}"
        unreachable_s = self._market.unreachable_for_s(now_s=self._clock.monotonic_s())
        if unreachable_s >= self._configuration.current.safety.api_lost_reducing_s:
            causes[StopTrigger.API_CONNECTION_LOST] = f"no exchange for {unreachable_s:.0f} s"
        stalled_s = self._audit.stalled_for_s(now_s=self._clock.monotonic_s())
        if stalled_s > 0:
            causes[StopTrigger.SYSTEM_ERROR] = f"the audit log has stood still for {stalled_s:.0f} s"
        return causes

    async def differences(self, account: str) -> Sequence[OpenDifference]:
        """Return what our books and the exchange disagree on.

        Raises:
            RetryableError: Nobody can say.
        """
        return await self._books.differences(account)
