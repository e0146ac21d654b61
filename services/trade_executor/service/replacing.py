"""Which protections are being replaced, and the messages that are kept for them.

Invariant: what protects is cancelled only with room for its successor, and that room is left to it by everything but
the orders of positions that are bare.
"""

import uuid
from dataclasses import dataclass, field
from typing import Final

from libs.common.clock import Clock

MESSAGES: Final = 2
"""For each list: its cancel and its successor."""

ORDERS: Final = 2
"""Of a successor, which may be a list of two."""

REPLACEMENTS_MAX: Final = 4
"""At once, per account: so few that none of their successors waits behind the cancels of others."""

LOOK_AGAIN_S: Final = 0.25
REPLACEMENT_S_MAX: Final = 10.0
"""After so long one counts no more, whatever became of it."""


@dataclass(slots=True)
class _Begun:
    account: str
    at_s: float
    messages: int


@dataclass(slots=True)
class Replacements:
    """The replacements under way, by chain."""

    clock: Clock
    _begun: dict[uuid.UUID, _Begun] = field(default_factory=dict)

    def has_place(self, account: str, chain_id: uuid.UUID) -> bool:
        """Whether one more may begin, or this one again."""
        return len(self._others(account, chain_id)) < REPLACEMENTS_MAX

    def kept(self, account: str, chain_id: uuid.UUID) -> int:
        """Return the messages that are kept for other chains of an account."""
        return sum(one.messages for one in self._others(account, chain_id))

    def begin(self, account: str, chain_id: uuid.UUID, *, messages: int) -> None:
        """Keep what the replacement of a chain's protection needs, and no less than is kept already."""
        known = self._begun.get(chain_id)
        kept = max(messages, 0 if known is None else known.messages)
        self._begun[chain_id] = _Begun(account, self.clock.monotonic_s(), kept)

    def sending(self, chain_id: uuid.UUID) -> None:
        """Take note of a message about a chain that is being sent: it counts as sent from now on."""
        if (one := self._begun.get(chain_id)) is not None:
            one.messages = max(one.messages - 1, 0)

    def end(self, chain_id: uuid.UUID) -> None:
        """Take note that a successor was answered."""
        self._begun.pop(chain_id, None)

    def _others(self, account: str, chain_id: uuid.UUID) -> list[_Begun]:
        since_s = self.clock.monotonic_s() - REPLACEMENT_S_MAX
        for stale in [each for each, one in self._begun.items() if one.at_s <= since_s]:
            del self._begun[stale]
        return [one for each, one in self._begun.items() if one.account == account and each != chain_id]
