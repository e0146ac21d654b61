"""Redis as the services use it: their scripts, recognised by their text, carried out on a dictionary in one step.

Invariant: an unknown script is an error, so that a changed one cannot be mistaken for the one that was written here.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from libs.common.control import permit, redis_latch
from libs.common.storage.redis import RedisStore
from services.risk_manager.adapters import redis_book
from tests.simulation.machine import Machine

Script = Callable[..., Awaitable[Any]]
_CLAIM: Final = re.compile(r"^(\S+) (\d+)$")


@dataclass
class SharedState:
    """The server; everything in it is lost by a flush.

    Attributes:
        expired_at_s: Until when a key was to live at the most, whatever became of it.
    """

    machine: Machine
    chance: Random
    down: bool = False
    delay_s_max: float = 0.003
    texts: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, dict[str, str]] = field(default_factory=dict)
    expires_at_s: dict[str, float] = field(default_factory=dict)
    expired_at_s: dict[str, float] = field(default_factory=dict)

    def flush(self) -> None:
        """Forget everything."""
        self.texts.clear()
        self.hashes.clear()
        self.expires_at_s.clear()

    def store(self) -> RedisStore:
        """Return what a process holds of it."""
        return RedisStore(cast("Redis", _Client(self)))

    def get(self, key: str) -> str | None:
        """Return a key's text unless it has expired."""
        if self.expires_at_s.get(key, float("inf")) <= self.machine.loop.time():
            self.delete(key)
        return self.texts.get(key)

    def set(self, key: str, value: Any, lifetime_ms: float | None = None) -> None:
        """Set a key's text."""
        self.delete(key)
        self.texts[key] = str(value)
        if lifetime_ms is not None:
            ends_at_s = self.machine.loop.time() + lifetime_ms / 1_000
            self.expires_at_s[key] = ends_at_s
            self.expired_at_s[key] = max(ends_at_s, self.expired_at_s.get(key, 0.0))

    def delete(self, key: str) -> None:
        """Delete a key."""
        self.texts.pop(key, None)
        self.hashes.pop(key, None)
        self.expires_at_s.pop(key, None)

    def lifetime_ms(self, key: str) -> int:
        """Return for how long a key lives on, -2 if it does not."""
        if self.get(key) is None:
            return -2
        ends_at_s = self.expires_at_s.get(key)
        return -1 if ends_at_s is None else round((ends_at_s - self.machine.loop.time()) * 1_000)

    async def answer(self) -> None:
        """Take the time of a round trip."""
        await asyncio.sleep(self.chance.uniform(0.0002, 2 * self.delay_s_max))
        self.is_reachable()

    def is_reachable(self) -> None:
        """Raise an error if nobody listens."""
        if self.down:
            raise RedisConnectionError("simulated: nobody answers")


class _Client:
    """redis-py's client, as far as it is used."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

    def register_script(self, source: str) -> Script:
        carry_out = _SCRIPTS[source]

        async def script(keys: Sequence[str] = (), args: Sequence[Any] = ()) -> Any:
            if self._state.chance.random() < 0.5:  # at the end of the round trip
                await self._state.answer()
                return carry_out(self._state, list(keys), list(args))
            self._state.is_reachable()
            answer = carry_out(self._state, list(keys), list(args))
            await self._state.answer()
            return answer

        return script

    async def get(self, key: str) -> str | None:
        await self._state.answer()
        return self._state.get(key)

    async def ping(self) -> bool:
        await self._state.answer()
        return True

    async def aclose(self) -> None:
        """Nothing is open."""


def _renew(state: SharedState, keys: list[str], args: list[Any]) -> str:
    if int(args[0]) < int(state.get(keys[1]) or 0):
        return "OUTDATED"
    state.set(keys[1], args[0])
    if state.hashes.get(keys[2]):
        state.delete(keys[0])
        return "LATCHED"
    state.set(keys[0], args[1], float(args[2]))
    return "RENEWED"


def _revoke(state: SharedState, keys: list[str], args: list[Any]) -> int:
    if int(args[0]) >= int(state.get(keys[1]) or 0):
        state.delete(keys[0])
    return 1


def _read_permit(state: SharedState, keys: list[str], _: list[Any]) -> list[Any]:
    return [state.get(keys[0]), state.lifetime_ms(keys[0])]


def _add_halt(state: SharedState, keys: list[str], args: list[Any]) -> int:
    content = args[1].decode() if isinstance(args[1], bytes) else args[1]
    state.hashes.setdefault(keys[0], {})[str(args[0])] = content
    if args[2] == "account":
        state.delete(keys[1])
    return 1


def _read_halts(state: SharedState, keys: list[str], _: list[Any]) -> list[list[str]]:
    return [_flat(state.hashes.get(key, {})) for key in keys]


def _remove_halts(state: SharedState, keys: list[str], args: list[Any]) -> int:
    for key in keys:
        for halt_id in args:
            state.hashes.get(key, {}).pop(halt_id, None)
    return 1


def _reserve(state: SharedState, keys: list[str], args: list[Any]) -> list[str]:
    epoch, generation, name, symbol, amount, positions_max, exposure_max = args
    if int(epoch) < int(state.get(keys[2]) or 0):
        return ["UNAVAILABLE", "outdated epoch"]
    if state.get(keys[1]) != generation:
        return ["UNAVAILABLE", "foreign generation"]
    total, taken = int(amount), set()
    for other, claim in state.hashes.get(keys[0], {}).items():
        found = _CLAIM.match(claim)
        if other != name and found is not None:
            total += int(found[2])
            taken.add(found[1])
    if symbol in taken:
        return ["POSITION_IS_OPEN", f"{symbol} is taken"]
    if len(taken) >= int(positions_max):
        return ["POSITION_LIMIT_IS_REACHED", str(len(taken))]
    if total > int(exposure_max):
        return ["EXPOSURE_IS_ABOVE_LIMIT", f"{total / 1_000_000:.6f}"]
    state.hashes.setdefault(keys[0], {})[name] = f"{symbol} {amount}"
    return ["RESERVED", ""]


def _set_claims(state: SharedState, keys: list[str], args: list[Any]) -> int:
    if int(args[0]) < int(state.get(keys[2]) or 0) or state.get(keys[1]) != args[1]:
        return 0
    claims = state.hashes.setdefault(keys[0], {})
    for name, value in zip(args[2::2], args[3::2], strict=True):
        if value == "":
            claims.pop(name, None)
        else:
            claims[name] = str(value)
    return 1


def _rebuild_claims(state: SharedState, keys: list[str], args: list[Any]) -> int:
    if int(args[0]) < int(state.get(keys[2]) or 0):
        return 0
    state.set(keys[2], args[0])
    state.hashes[keys[0]] = {str(name): str(value) for name, value in zip(args[2::2], args[3::2], strict=True)}
    state.set(keys[1], args[1])
    return 1


def _read_claims(state: SharedState, keys: list[str], _: list[Any]) -> list[Any]:
    return [state.get(keys[1]) or "", _flat(state.hashes.get(keys[0], {}))]


def _flat(content: dict[str, str]) -> list[str]:
    return [part for pair in content.items() for part in pair]


_SCRIPTS: Final[dict[str, Callable[[SharedState, list[str], list[Any]], Any]]] = {
    permit._RENEW: _renew,
    permit._REVOKE: _revoke,
    permit._READ: _read_permit,
    redis_latch._ADD: _add_halt,
    redis_latch._READ: _read_halts,
    redis_latch._REMOVE: _remove_halts,
    redis_book._RESERVE: _reserve,
    redis_book._SET: _set_claims,
    redis_book._REBUILD: _rebuild_claims,
    redis_book._READ: _read_claims,
}
