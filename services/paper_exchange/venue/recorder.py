"""Writing down what happens, before anyone is told of it.

Invariant: a commit is one line of the journal, or none where nothing but the market moved.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from services.paper_exchange.journal import Journal
from services.paper_exchange.market.history import History
from services.paper_exchange.market.timeline import Timeline
from services.paper_exchange.venue.changes import Changes
from services.paper_exchange.venue.listing import Listing
from services.paper_exchange.venue.records import Record, segment_record


class Recorder:
    """Keep the journal.

    Args:
        journal: Where it is written.
        changes: Collects what has to be.
        listing: Knows what trades.
        history: Knows where the market stands.
        timeline: Knows the stretches in which it ran.
        counters: The last ids given out.
        identity: Names the market.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        changes: Changes,
        listing: Listing,
        history: History,
        timeline: Timeline,
        counters: dict[str, int],
        identity: str,
    ) -> None:
        self._journal = journal
        self._changes = changes
        self._listing = listing
        self._history = history
        self._timeline = timeline
        self._counters = counters
        self._market = {"type": "market", "identity": identity}

    def begin(self, transfers: Iterable[Record], *, at_ms: int) -> None:
        """Begin the very first file."""
        segment = segment_record(self._timeline.segments[-1])
        self._journal.begin(
            [self._market, segment, *transfers, *self._collect(at_ms)],
            at_ms=at_ms,
            place_ms=self._history.place_ms,
            counters=self._all_counters(),
        )

    def resume(self, *, at_ms: int) -> None:
        """Note that the market goes on from where it stands, after a stop or a stall."""
        self._write([segment_record(self._timeline.segments[-1])], at_ms)

    def commit(self, *, at_ms: int) -> None:
        """Write what changed since the last commit, or only how far the market has moved."""
        changes = self._collect(at_ms)
        if changes:
            self._write(changes, at_ms)
        else:
            self._journal.mark(self._history.place_ms)

    def note(self, record: Record, *, at_ms: int) -> None:
        """Write something that changed nothing; what did change since the last commit waits for the next."""
        self._write([record], at_ms)

    def close(self) -> None:
        """Note where the market stands and release the journal."""
        self._journal.mark(self._history.place_ms)
        self._journal.close()

    def _write(self, changes: Sequence[Record], at_ms: int) -> None:
        self._journal.append(
            changes,
            self._snapshot,
            at_ms=at_ms,
            place_ms=self._history.place_ms,
            counters=self._all_counters(),
        )

    def _collect(self, at_ms: int) -> list[Record]:
        return self._changes.collect(at_ms=at_ms, place_ms=self._history.place_ms)

    def _all_counters(self) -> dict[str, Any]:
        return self._counters | {"client_trades": self._history.client_trade_counts}

    def _snapshot(self) -> list[Record]:
        """Return the complete state as changes."""
        return [
            self._market,
            *(segment_record(segment) for segment in self._timeline.segments),
            *self._listing.records(),
            *self._changes.snapshot(place_ms=self._history.place_ms),
        ]
