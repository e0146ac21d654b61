"""Whether all processes that trade are the same program with the same configuration, told from heartbeats.

One of eight servers with an older program cost Knight Capital its company (SEC order 34-70694, paragraphs 13 to 15).

Invariant: a difference that lasts is named; a change on its way, and a process that is gone, are none.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from libs.common.contracts.events import HeartbeatSent
from services.risk_manager.domain.crashes import SILENCE_S

GRACE_S: Final = 10.0
"""So long may a new version of the configuration take to reach everybody, or a rolling restart to replace a process."""

TRADING: Final = frozenset({"market_monitor", "signal_generator", "risk_manager", "trade_executor", "position_manager"})
"""Whoever decides, sends or counts; the others work by their own files, or by what these tell them."""

KEEPER: Final = "risk_manager"
"""Keeps the versions of the configuration: its standby takes them up with the role, and decides nothing before."""

_PROCESSES_MAX: Final = 200


@dataclass(slots=True)
class _Peer:
    beat: HeartbeatSent
    heard_at_s: float
    differs_since_s: float | None = None


class Peers:
    """What the processes that trade said last of what they are."""

    def __init__(self) -> None:
        self._peers: dict[tuple[str, str, datetime], _Peer] = {}

    def hear(self, beat: HeartbeatSent, *, now_s: float) -> None:
        """Take note of a heartbeat."""
        if beat.component not in TRADING:
            return
        key = (beat.component, beat.instance, beat.started_at)
        known = self._peers.get(key)
        if known is None:
            while len(self._peers) >= _PROCESSES_MAX:
                self._peers.pop(next(iter(self._peers)))
            self._peers[key] = _Peer(beat, now_s)
        else:
            known.beat, known.heard_at_s = beat, now_s

    def differing(self, *, build: str, configuration_hash: str, now_s: float) -> tuple[str, ...]:
        """Return who has been another program, or had another configuration, for longer than the grace, and how."""
        differing = []
        for key, peer in list(self._peers.items()):
            if now_s - peer.heard_at_s > SILENCE_S:
                del self._peers[key]
                continue
            what = _difference(peer.beat, build, configuration_hash)
            if not what:
                peer.differs_since_s = None
                continue
            if peer.differs_since_s is None:
                peer.differs_since_s = now_s
            if now_s - peer.differs_since_s > GRACE_S:
                differing.append(f"{peer.beat.component} {peer.beat.instance}: {what}")
        return tuple(sorted(differing))


def _difference(beat: HeartbeatSent, build: str, configuration_hash: str) -> str:
    differences = []
    if beat.build != build:
        differences.append(f"build {_short(beat.build)} where {_short(build)} is expected")
    if beat.component != KEEPER and beat.configuration_hash != configuration_hash:
        differences.append(
            f"configuration {_short(beat.configuration_hash)} where {_short(configuration_hash)} is expected"
        )
    return ", ".join(differences)


def _short(digest: str) -> str:
    return digest[:12] or "none"
