"""Which faults are armed, and when one strikes.

Invariant: a strike is in the exchange's journal before anybody can notice it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from services.paper_exchange.faults.menu import Fault
from services.paper_exchange.faults.selection import Armed, Point, Subject

ARMED_MAX = 1_000
STRIKES_MAX = 10_000
Record = dict[str, Any]


class TooManyFaultsError(Exception):
    """More faults than anybody can want."""


@dataclass(slots=True)
class ArmedFault:
    """A fault that may strike.

    Args:
        number: By which it is named.
        fault: What it does.
        until_ms: When it ends, in exchange time; None: when it is taken away.
        strikes: How often it struck.
    """

    number: int
    fault: Fault
    until_ms: int | None
    strikes: int = 0

    def may_strike(self, now_ms: int) -> bool:
        """Return whether it can still strike."""
        return (self.until_ms is None or now_ms < self.until_ms) and self.strikes != self.fault.count


class Faults:
    """The faults that are armed.

    Args:
        randomness: Decides what is left to chance; the same requests after the same seed meet the same faults.
        now_ms: Exchange time.
        note: Writes a record into the journal.
        tell: Writes a line into the exchange's log.
    """

    def __init__(
        self,
        *,
        randomness: Random,
        now_ms: Callable[[], int],
        note: Callable[[Record], None],
        tell: Callable[[str], None],
    ) -> None:
        self.randomness = randomness
        self.strikes: deque[Record] = deque(maxlen=STRIKES_MAX)
        self.now_ms = now_ms
        self._note = note
        self._tell = tell
        self._armed: dict[int, ArmedFault] = {}
        self._at: dict[Point, tuple[ArmedFault, ...]] = {}
        self._number = 0

    def arm(self, fault: Fault) -> int:
        """Let a fault strike from now on, and return its number.

        Raises:
            TooManyFaultsError: There are enough.
        """
        now_ms = self.now_ms()
        self._keep({number: armed for number, armed in self._armed.items() if armed.may_strike(now_ms)})
        if len(self._armed) >= ARMED_MAX:
            raise TooManyFaultsError
        self._number += 1
        until_ms = None if fault.for_s is None else now_ms + int(fault.for_s * 1_000)
        self._keep({**self._armed, self._number: ArmedFault(self._number, fault, until_ms)})
        self._tell(f"fault {self._number} armed: {fault.model_dump_json(exclude_defaults=True)}")
        return self._number

    def disarm(self, number: int | None = None) -> int:
        """Take a fault away, or all of them, and return how many could still have struck."""
        gone = [armed.number for armed in self.armed() if number in (None, armed.number)]
        self._keep({each: armed for each, armed in self._armed.items() if each not in gone})
        return len(gone)

    def armed(self) -> list[ArmedFault]:
        """Return the faults that may still strike."""
        now_ms = self.now_ms()
        return [armed for armed in self._armed.values() if armed.may_strike(now_ms)]

    def strike(self, point: Point, subject: Subject, *, applies: Callable[[Armed], bool] | None = None) -> Fault | None:
        """Return the fault that strikes a message at this point, if one does.

        Args:
            point: Where the message is.
            subject: The message.
            applies: Whether a fault would change anything; None: each does.
        """
        for armed in self._at.get(point, ()):
            fault = armed.fault
            if not armed.may_strike(self.now_ms()) or not fault.on.agrees(subject):
                continue
            if (applies is None or applies(fault)) and self.randomness.random() < fault.probability:
                self._write(armed, subject)
                return fault
        return None

    def between(self, least: int, most: int) -> float:
        """Return a number of chance between two; in seconds, where they are milliseconds."""
        return self.randomness.randint(least, most) / 1_000

    def _write(self, armed: ArmedFault, subject: Subject) -> None:
        armed.strikes += 1
        if armed.fault.is_noted_once and armed.strikes > 1:
            return
        facts = {name: value for name, value in asdict(subject).items() if value}
        kind = armed.fault.kind
        record = {"type": "fault", "fault": armed.number, "kind": kind, "at_ms": self.now_ms(), **facts}
        self._note(record)
        self.strikes.append(record)
        self._tell(f"fault {armed.number} struck: {kind} " + " ".join(f"{name}={facts[name]}" for name in facts))

    def _keep(self, armed: dict[int, ArmedFault]) -> None:
        self._armed = armed
        self._at = {point: tuple(each for each in armed.values() if each.fault.point is point) for point in Point}
