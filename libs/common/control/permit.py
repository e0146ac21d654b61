"""The permit: leave to send entries that lapses by itself within a second.

No permit, no entry. So a halt, a dead risk manager and a lost Redis all stop entries without a message.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.asyncio import Redis

from libs.common.clock import Clock
from libs.common.control.patience import PatientCall
from libs.common.control.scripts import asked
from libs.common.errors import RetryableError
from libs.common.storage import keys

PERMIT_LIFETIME_MS: Final = 1_000
PERMIT_RENEWAL_S: Final = 0.3
"""Three renewals fit into a lifetime: one may be lost."""

_RENEW: Final = """
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[2]) or '0') then return 'OUTDATED' end
redis.call('SET', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('DEL', KEYS[1])
  return 'LATCHED'
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 'RENEWED'
"""

_REVOKE: Final = """
if tonumber(ARGV[1]) >= tonumber(redis.call('GET', KEYS[2]) or '0') then redis.call('DEL', KEYS[1]) end
return 1
"""

_READ: Final = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}"


class Renewal(StrEnum):
    """What became of a renewal."""

    RENEWED = "RENEWED"
    LATCHED = "LATCHED"
    OUTDATED = "OUTDATED"


class _Content(BaseModel):
    """The key's value."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    risk_epoch: int = Field(ge=0)
    halt_epoch: int = Field(ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Leave to send entries of one account.

    Attributes:
        halt_epoch: Number of halts that the risk manager had seen; an approval of another one is void.
        risk_epoch: The granting risk manager's epoch.
        valid_until_monotonic_s: On the reader's own monotonic clock, counted from the moment it asked.
    """

    account: str
    risk_epoch: int
    halt_epoch: int
    valid_until_monotonic_s: float

    def is_valid(self, now_monotonic_s: float) -> bool:
        """Tell whether entries may still be sent with it."""
        return now_monotonic_s < self.valid_until_monotonic_s


class PermitWriter:
    """The risk manager's side: renews while no latch is set, and revokes.

    Every method raises `RetryableError` where Redis does not answer; the permit then lapses by itself.
    """

    def __init__(self, client: Redis) -> None:
        self._renew = client.register_script(_RENEW)
        self._revoke = client.register_script(_REVOKE)

    async def renew(self, account: str, *, risk_epoch: int, halt_epoch: int) -> Renewal:
        """Grant one more lifetime, unless a halt is latched in Redis or a newer risk manager was there."""
        value = _Content(risk_epoch=risk_epoch, halt_epoch=halt_epoch).model_dump_json()
        outcome = await asked(
            self._renew,
            keys=[keys.permit(account), keys.risk_fence(account), keys.halts(account)],
            args=[risk_epoch, value, PERMIT_LIFETIME_MS],
        )
        return Renewal(outcome.decode() if isinstance(outcome, bytes) else outcome)

    async def revoke(self, account: str, *, risk_epoch: int) -> None:
        """Take the permit back now rather than within its lifetime."""
        await asked(self._revoke, keys=[keys.permit(account), keys.risk_fence(account)], args=[risk_epoch])


class PermitReader:
    """The executor's side: asks at the last hop.

    Args:
        client: A client with short socket timeouts and no retry.
        clock: Whose monotonic time the validity is counted on.
    """

    def __init__(self, client: Redis, *, clock: Clock) -> None:
        self._read = client.register_script(_READ)
        self._clock = clock

    async def read(self, account: str, deadline_s: float = 0.1) -> Permit | None:
        """Return the permit, or None: there is none, it cannot be read, or not in time."""
        asked_at_s = self._clock.monotonic_s()
        try:
            value, lifetime_ms = await PatientCall("permit", lambda: self._ask(account)).answer(deadline_s)
            content = _Content.model_validate_json(value or b"")
        except (RetryableError, ValidationError):
            return None
        return Permit(
            account=account,
            risk_epoch=content.risk_epoch,
            halt_epoch=content.halt_epoch,
            valid_until_monotonic_s=asked_at_s + min(int(lifetime_ms), PERMIT_LIFETIME_MS) / 1_000,
        )

    async def _ask(self, account: str) -> "tuple[bytes | str | None, int]":
        value, lifetime_ms = await asked(self._read, keys=[keys.permit(account)])
        return value, lifetime_ms
