"""The shared risk state in Redis: an atomic check-and-reserve over what Postgres says.

Invariant: every value is absolute and derived from a stored row; whatever else stands there is dropped at the next
reconciliation. Amounts are whole millionths of the quote currency: a double, which is what Lua has, holds them exactly
up to nine thousand million.
"""

import asyncio
from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common.contracts.vocabulary import Role
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from libs.common.storage import keys
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.service.ports import Reservation, ReservationOutcome

AMOUNT_SCALE: Final = Decimal(1_000_000)
AMOUNT_MAX: Final = 2**53 - 1
CHANGES_MAX: Final = 10_000
"""More changes than these waiting for Redis are given up: the next reconciliation brings them."""

_RESERVE: Final = """
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[3]) or '0') then return {'UNAVAILABLE', 'outdated epoch'} end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return {'UNAVAILABLE', 'foreign generation'} end
local claims, total, taken, count = redis.call('HGETALL', KEYS[1]), tonumber(ARGV[5]), {}, 0
for i = 1, #claims, 2 do
  if claims[i] ~= ARGV[3] then
    local symbol, amount = string.match(claims[i + 1], '^(%S+) (%d+)$')
    total = total + tonumber(amount)
    if not taken[symbol] then
      taken[symbol] = true
      count = count + 1
    end
  end
end
if taken[ARGV[4]] then return {'POSITION_IS_OPEN', ARGV[4] .. ' is taken'} end
if count >= tonumber(ARGV[6]) then return {'POSITION_LIMIT_IS_REACHED', tostring(count)} end
if total > tonumber(ARGV[7]) then return {'EXPOSURE_IS_ABOVE_LIMIT', string.format('%.6f', total / 1000000)} end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4] .. ' ' .. ARGV[5])
return {'RESERVED', ''}
"""
_SET: Final = """
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[3]) or '0') then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return 1
"""
_REBUILD: Final = """
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[3]) or '0') then return 0 end
redis.call('SET', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[1])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[2], ARGV[2])
return 1
"""
_READ: Final = "return {redis.call('GET', KEYS[2]) or '', redis.call('HGETALL', KEYS[1])}"

_log = structlog.get_logger(__name__)


class RedisRiskBook:
    """Implements `RiskBook`.

    Args:
        client: A client with short socket timeouts and no retry, which decodes its answers.
        epoch: Returns the epoch under which this process owns the risk state.
    """

    def __init__(self, client: Redis, *, epoch: Callable[[], int]) -> None:
        self._epoch = epoch
        self._reserve = client.register_script(_RESERVE)
        self._set = client.register_script(_SET)
        self._rebuild = client.register_script(_REBUILD)
        self._read = client.register_script(_READ)
        self._changes: dict[str, dict[str, str]] = {}
        self._changed = asyncio.Event()

    async def reserve(self, claim: Claim, *, positions_max: int, exposure_max: Decimal) -> Reservation:
        """Reserve for an entry if every limit still has room; the same intent again is the same reservation."""
        account = claim.account
        try:
            await self._flush(account)
            outcome, observed = await self._reserve(
                keys=_keys(account),
                args=[
                    self._epoch(),
                    self._generation,
                    _field(claim),
                    claim.symbol,
                    _claimed(claim.notional),
                    positions_max,
                    _allowed(exposure_max),
                ],
            )
        except (RedisError, OSError) as error:
            return Reservation(ReservationOutcome.UNAVAILABLE, repr(error)[:200])
        return Reservation(ReservationOutcome(outcome), observed)

    def claim_changed(self, claim: Claim) -> None:
        """Bring a committed claim to Redis soon."""
        if claim.role is Role.ENTRY:
            self._change(claim.account, _field(claim), _value_of_claim(claim))

    def position_changed(self, position: HeldPosition) -> None:
        """Bring a committed position to Redis soon."""
        self._change(position.account, _position_field(position), _value_of_position(position))

    async def run(self) -> None:
        """Bring changes to Redis as they come, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for account in list(self._changes):
                try:
                    await self._flush(account)
                except (RedisError, OSError) as error:
                    _log.warning("A reconciliation will bring what Redis did not take", error=repr(error))

    async def reconcile(self, account: str, *, claims: Iterable[Claim], positions: Iterable[HeldPosition]) -> bool:
        """Make Redis hold exactly what is stored; to be called where nothing else changes the stored state.

        Returns:
            Whether anything had to be put right.

        Raises:
            RetryableError: Redis cannot be reached.
        """
        try:
            return await self._reconcile(account, claims, positions)
        except (RedisError, OSError) as error:
            raise RetryableError(f"shared risk state: expected Redis to answer, found {error!r}") from error

    async def _reconcile(self, account: str, claims: Iterable[Claim], positions: Iterable[HeldPosition]) -> bool:
        expected = {_field(claim): value for claim in claims if (value := _value_of_claim(claim))}
        expected |= {
            _position_field(position): value for position in positions if (value := _value_of_position(position))
        }
        self._changes.pop(account, None)
        generation, flat = await self._read(keys=_keys(account))
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        if generation == self._generation and found == expected:
            return False
        args = [argument for pair in expected.items() for argument in pair]
        done = await self._rebuild(keys=_keys(account), args=[self._epoch(), self._generation, *args])
        if done:
            metrics.RISK_STATE_REBUILT.inc()
            _log.info("Made the shared risk state anew", account=account, claims=len(expected), found=len(found))
        return bool(done)

    @property
    def _generation(self) -> str:
        """The token that only a rebuild of ours can have left; a flushed or foreign Redis has another or none."""
        return f"epoch-{self._epoch()}"

    def _change(self, account: str, field: str, value: str) -> None:
        changes = self._changes.setdefault(account, {})
        if len(changes) >= CHANGES_MAX:
            changes.clear()
        changes[field] = value
        self._changed.set()

    async def _flush(self, account: str) -> None:
        changes = self._changes.pop(account, None)
        if not changes:
            return
        args = [argument for pair in changes.items() for argument in pair]
        try:
            await self._set(keys=_keys(account), args=[self._epoch(), self._generation, *args])
        except (RedisError, OSError):
            self._changes[account] = changes | self._changes.get(account, {})
            raise


def _keys(account: str) -> list[str]:
    return [keys.risk_claims(account), keys.risk_generation(account), keys.risk_fence(account)]


def _field(claim: Claim) -> str:
    return f"intent {claim.intent_id}"


def _position_field(position: HeldPosition) -> str:
    return f"position {position.symbol}"


def _value_of_claim(claim: Claim) -> str:
    """Return symbol and amount; nothing for what claims nothing."""
    if claim.phase is Phase.RELEASED or claim.role is not Role.ENTRY:
        return ""
    return f"{claim.symbol} {_claimed(claim.notional)}"


def _value_of_position(position: HeldPosition) -> str:
    return f"{position.symbol} {_claimed(position.cost)}" if position.is_open else ""


def _claimed(amount: Decimal) -> int:
    """Round what is claimed up."""
    return min(int((amount * AMOUNT_SCALE).to_integral_value(ROUND_CEILING)), AMOUNT_MAX)


def _allowed(amount: Decimal) -> int:
    """Round what is allowed down."""
    return min(int((amount * AMOUNT_SCALE).to_integral_value(ROUND_FLOOR)), AMOUNT_MAX)
