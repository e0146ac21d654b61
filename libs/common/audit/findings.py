"""What a verification of the audit log found."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """The first place of a chain that does not hold.

    Attributes:
        offset: Where it is seen; for a file of anchors, 0.
        problem: What is wrong, in a sentence for people.
    """

    topic: str
    partition: int
    offset: int
    problem: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying every chain.

    Attributes:
        events: Records of single messages, poison ones included.
        anchors: Lines of anchors that were compared with the chains.
        messages_missing: Messages that Kafka no longer held when they were to be recorded: honest gaps.
        broken: What is wrong with archives, then the first broken link of each chain that has one.
        archives: How many were read.
    """

    events: int
    records: int
    chains: int
    anchors: int
    messages_missing: int
    broken: tuple[BrokenLink, ...]
    archives: int = 0

    @property
    def verified(self) -> bool:
        """Whether every chain holds."""
        return not self.broken

    @property
    def first_broken(self) -> BrokenLink | None:
        """The first broken link of all, by topic and partition."""
        return self.broken[0] if self.broken else None

    def as_json(self) -> dict[str, Any]:
        """Return the documented form of `trader audit verify --json`."""
        return {
            "events": self.events,
            "records": self.records,
            "chains": self.chains,
            "anchors": self.anchors,
            "archives": self.archives,
            "messages_missing": self.messages_missing,
            "verified": self.verified,
            "first_broken": None if self.first_broken is None else _as_json(self.first_broken),
        }


def _as_json(broken: BrokenLink) -> dict[str, Any]:
    return {name: getattr(broken, name) for name in BrokenLink.__slots__}
