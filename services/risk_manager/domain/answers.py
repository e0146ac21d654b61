"""The identity of the order that an approval allows, and why a signal is refused."""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from libs.trading.risk import Refused

_NAMESPACE: Final = uuid.UUID("3f0f6a0c-3f0e-5a55-9d0c-6f6f0f4c7b21")


class ServiceRefusal(StrEnum):
    """Refusals that come of this service's own state, beside the core's."""

    RISK_STATE_IS_UNAVAILABLE = "RISK_STATE_IS_UNAVAILABLE"
    INSTRUMENT_IS_UNKNOWN = "INSTRUMENT_IS_UNKNOWN"
    ROLE_NEEDS_AN_ORDER_FROM_ABOVE = "ROLE_NEEDS_AN_ORDER_FROM_ABOVE"
    EXIT_IS_UNDER_WAY = "EXIT_IS_UNDER_WAY"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit stood against a signal, and what was found."""

    reason: str
    limit: str = ""
    observed: str = ""

    @classmethod
    def of(cls, refused: Refused) -> "Refusal":
        """Return the core's refusal in the spelling of the events."""
        return cls(refused.reason.upper(), refused.limit, refused.observed)


def intent_id_of(account: str, signal_id: str, leg: str) -> uuid.UUID:
    """Return the identity of the order that a signal may lead to on an account: the same one for ever."""
    return uuid.uuid5(_NAMESPACE, f"{account}|{signal_id}|{leg}")
