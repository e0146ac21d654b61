"""The halt latch in Redis: the permit's renewal looks at it in the same script, so a halt needs no reader to act."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis

from libs.common.control.halts import HaltRecord, halt_from
from libs.common.control.scripts import asked
from libs.common.storage import keys

_ADD: Final = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] == 'account' then redis.call('DEL', KEYS[2]) end
return 1
"""
"""Latch a halt; one that covers the account revokes its permit in the same moment."""

_READ: Final = """
local found = {}
for _, latch in ipairs(KEYS) do found[#found + 1] = redis.call('HGETALL', latch) end
return found
"""
_REMOVE: Final = """
for _, latch in ipairs(KEYS) do redis.call('HDEL', latch, unpack(ARGV)) end
return 1
"""


class RedisHaltLatch:
    """Halts as two hashes per account: those that cover all of it, and those of a symbol or strategy.

    Every method raises `RetryableError` where Redis does not answer.

    Args:
        client: A client with short socket timeouts and no retry; its defaults would hold a halt back for a minute.
        accounts: Those to read, and those that a halt of every account is written for.
    """

    def __init__(self, client: Redis, *, accounts: Collection[str]) -> None:
        self._accounts = tuple(accounts)
        self._latches = [latch(account) for account in self._accounts for latch in (keys.halts, keys.halts_in_part)]
        self._add = client.register_script(_ADD)
        self._read = client.register_script(_READ)
        self._remove = client.register_script(_REMOVE)

    async def add(self, record: HaltRecord) -> None:
        """Latch a halt; adding it again changes nothing."""
        accounts = self._accounts if record.account is None else (record.account,)
        for account in accounts:
            latch, scope = (
                (keys.halts(account), "account") if record.covers_account else (keys.halts_in_part(account), "part")
            )
            await asked(self._add, keys=[latch, keys.permit(account)], args=[record.halt_id, record.to_bytes(), scope])

    async def read(self) -> Sequence[HaltRecord]:
        """Return every latched halt, each once."""
        found: dict[str, HaltRecord] = {}
        answer: list[list[Any]] = await asked(self._read, keys=self._latches)
        for latch, flat in zip(self._latches, answer, strict=True):
            for halt_id, content in zip(map(_text, flat[::2]), flat[1::2], strict=True):
                unreadable = _unreadable(halt_id, latch)
                record = halt_from(content, fallback=unreadable)
                found[halt_id] = record if record.halt_id == halt_id else unreadable
        return list(found.values())

    async def remove(self, halt_ids: Collection[str]) -> None:
        """Forget settled halts."""
        if halt_ids:
            await asked(self._remove, keys=self._latches, args=list(halt_ids))


def _text(content: bytes | str) -> str:
    """Return text whether or not the client decodes answers."""
    return content.decode() if isinstance(content, bytes) else content


def _unreadable(halt_id: str, latch: str) -> HaltRecord:
    return HaltRecord(
        halt_id=halt_id,
        reason=f"a halt in {latch} that cannot be read",
        issuer="redis",
        halted_at=datetime.fromtimestamp(0, UTC),
    )
