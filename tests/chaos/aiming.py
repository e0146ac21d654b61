"""Waiting for the moment of an order at which a round strikes.

Invariant: what was held still to see the moment goes on afterwards, whatever happens.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tests.chaos.arena import UNREACHABLE, Arena
from tests.chaos.plan import EXCHANGE, Aim

AIM_S_MAX: Final = 8.0
LOOK_S: Final = 0.001

_LETTERS: Final = {Aim.ACCEPTED: "E", Aim.PROTECTING: "P", Aim.LEAVING: "C", Aim.SELLING: "X"}
_RECORDED: Final = "SELECT count(*) FROM intents WHERE signed_at_ms IS NOT NULL"
_APPROVED: Final = "SELECT count(*) FROM risk_decisions WHERE approved AND role = 'ENTRY'"
_WAITING: Final = """
    SELECT count(*) FROM orders JOIN intents USING (intent_id)
    WHERE intents.signed_at_ms IS NOT NULL AND orders.status = 'PREPARED'
"""
WAITING_S_MAX: Final = 1.0
"""From an approval to its request at the exchange."""


async def take_aim(arena: Arena, aim: Aim, strike: Callable[[], Awaitable[None]]) -> bool:
    """Strike at the moment aimed at, or when it does not come; return whether it came.

    Args:
        arena: The stack.
        aim: The moment.
        strike: Does what is to be done then.
    """
    if aim in {Aim.WAITING, Aim.LOST}:
        return await _strike_before_the_exchange_reads(arena, strike)
    letter = _LETTERS.get(aim)
    found = await _rises(lambda: _count(arena, _RECORDED) if letter is None else _journalled(arena, letter))
    await strike()
    return found


async def _strike_before_the_exchange_reads(arena: Arena, strike: Callable[[], Awaitable[None]]) -> bool:
    # A frozen exchange shows no prices, on which nothing would be decided: it stops when a decision is made.
    approved = await _rises(lambda: _count(arena, _APPROVED))
    held = arena.freeze(EXCHANGE)
    try:
        found = approved and await _rises(lambda: _count(arena, _WAITING), above=0, seconds=WAITING_S_MAX)
        await strike()
    finally:
        arena.thaw(held)
    return found


async def _rises(count: Callable[[], Awaitable[int]], *, above: int | None = None, seconds: float = AIM_S_MAX) -> bool:
    """Wait until a count exceeds what it was at first, or what is given; return whether it did in time."""
    ends_s = asyncio.get_running_loop().time() + seconds
    before = await count() if above is None else above
    while await count() <= before:
        if asyncio.get_running_loop().time() > ends_s:
            return False
        await asyncio.sleep(LOOK_S)
    return True


async def _journalled(arena: Arena, letter: str) -> int:
    arena.tail.poll()
    return arena.tail.taken.get(letter, 0)


async def _count(arena: Arena, statement: str) -> int:
    try:
        (row,) = await arena.query_now(statement)
    except UNREACHABLE:
        return 0
    return int(row["count"])
