"""What the governor is told from outside: how accounts begin, and which emergencies persist."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.common.contracts.vocabulary import StopTrigger
from services.risk_manager.domain.resuming import OpenDifference
from services.risk_manager.service.ports import RiskRecords


class Conditions(Protocol):
    """Which emergencies persist; a RESUME is refused while its halt's cause does."""

    async def persisting(self, account: str, records: RiskRecords) -> Mapping[StopTrigger, str]:
        """Return the triggers whose cause is still there, with what was found."""
        ...

    async def differences(self, account: str) -> Sequence[OpenDifference]:
        """Return what our books and the exchange disagree on.

        Raises:
            RetryableError: Nobody can say.
        """
        ...


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """How an account that was never here before begins.

    Attributes:
        starts_active: Only the demonstration on an empty data directory.
        armed: Accounts that may trade for real; None: on paper everything may.
    """

    starts_active: bool = False
    armed: frozenset[str] | None = None

    def is_armed(self, account: str) -> bool:
        """Tell whether the account may send entries at all."""
        return self.armed is None or account in self.armed
