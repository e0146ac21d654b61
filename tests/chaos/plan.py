"""What a run does, drawn from its seed: who is killed, at which moment of an order, and what goes wrong besides.

Invariant: the same seed gives the same rounds, whatever becomes of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, Final, TypeVar

from tests.chaos.faults import MENU

Card = TypeVar("Card")

EXECUTOR: Final = "trade_executor"
EXCHANGE: Final = "paper_exchange"
RISK: Final = "risk_manager"
VICTIMS: Final = (
    *(EXECUTOR,) * 5,
    *(RISK,) * 2,
    *(EXCHANGE,) * 2,
    "market_monitor",
    "signal_generator",
    "position_manager",
    "notifier",
    "audit_recorder",
    "watchdog",
    "kafka",
    "postgres",
    "redis",
)
"""Whoever holds orders in its hands dies oftenest."""
FREEZABLE: Final = tuple(sorted(set(VICTIMS)))
HARMLESS_TOPICS: Final = ("signals", "market.candles", "positions", "heartbeats")
MONEY_TOPICS: Final = ("orders.approved", "fills", "control")


class Aim(StrEnum):
    """The moment of an order at which a round strikes."""

    RECORDED = "recorded"
    """Its intent has just been committed."""
    WAITING = "waiting"
    """Its request lies at an exchange that has not read it, and will."""
    LOST = "lost"
    """The same, and the exchange dies with it."""
    ACCEPTED = "accepted"
    """The exchange has just taken an entry, and filled what it fills at once."""
    PROTECTING = "protecting"
    """The exchange has just taken the orders that protect a position."""
    LEAVING = "leaving"
    """The protection has just been cancelled, so that the position can be sold."""
    SELLING = "selling"
    """The exchange has just taken the sale."""


class Act(StrEnum):
    """What goes wrong besides."""

    FREEZE = "freeze"
    FLUSH = "flush"
    POISON = "poison"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """Something that happens together with the kills.

    Attributes:
        target: The process to freeze, or the topic to poison.
        seconds: How long a process is frozen.
    """

    act: Act
    target: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return " ".join(filter(None, (self.act, self.target, f"{self.seconds:g} s" if self.seconds else "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Kills at one moment.

    Attributes:
        victims: Who is killed, all at once.
        delay_s: How long after the moment that was aimed at.
        fault: What the exchange does wrong from before the moment on.
    """

    number: int
    aim: Aim
    victims: tuple[str, ...]
    delay_s: float
    mishap: Mishap | None
    fault: Mapping[str, Any] | None

    def __str__(self) -> str:
        besides = "".join(f", {each}" for each in (self.mishap, self.fault and self.fault["kind"]) if each)
        return f"{self.aim}: kill {' and '.join(self.victims)}{besides}"


def rounds(seed: int) -> Iterator[Round]:
    """Yield the rounds of a seed, for ever."""
    random = Random(f"chaos {seed}")
    victims, aims, faults = _dealt(VICTIMS, random), _dealt(tuple(Aim), random), _dealt(MENU, random)
    number = 0
    while True:
        number += 1
        aim = next(aims)
        count = random.choices((1, 2, 3), weights=(5, 4, 1))[0]
        chosen = dict.fromkeys(next(victims) for _ in range(count))
        if aim in {Aim.WAITING, Aim.LOST}:
            chosen[EXECUTOR] = None
        if aim is Aim.LOST:
            chosen[EXCHANGE] = None
        delay_s = random.choice((0.0, 0.0, 0.002, 0.01, 0.05))
        yield Round(
            number=number,
            aim=aim,
            victims=tuple(chosen),
            delay_s=delay_s,
            mishap=_mishap(random, spared=tuple(chosen)) if random.random() < 0.3 else None,
            fault=next(faults) if random.random() < 0.4 else None,
        )


def _mishap(random: Random, *, spared: Sequence[str]) -> Mishap:
    act = random.choices(tuple(Act), weights=(5, 2, 2))[0]
    if act is Act.FREEZE:
        target = random.choice([name for name in FREEZABLE if name not in spared])
        seconds = random.choices((1.0, 2.0, 4.0, 8.0, 12.0), weights=(5, 4, 3, 1, 1))[0]
        return Mishap(act=act, target=target, seconds=seconds)
    if act is Act.POISON:
        topics = HARMLESS_TOPICS if random.random() < 0.9 else MONEY_TOPICS
        return Mishap(act=act, target=random.choice(topics))
    return Mishap(act=act)


def _dealt(cards: Sequence[Card], random: Random) -> Iterator[Card]:
    """Yield cards from shuffled decks, so that none is long in coming."""
    while True:
        yield from random.sample(cards, len(cards))
