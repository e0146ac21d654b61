"""What a halt was like, and what many of them say.

Invariant: a halt counts only if entries were sent right before it, so that one could have been sent after it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from benchmarks.figures import Bounded, Budget, Figure, Measurement, quantile, spread
from benchmarks.stacks import BenchmarkError, load
from libs.common.control.permit import PERMIT_LIFETIME_MS

ENTERING_S: Final = 3.0
"""Within this time before a halt an entry must have been sent."""

CONNECTED: Final = Budget(Bounded.VALUE, 250)
DISCONNECTED: Final = Budget(Bounded.VALUE, 1_000)
RECV_WINDOW_MS: Final = 1_000
"""An entry that was sent in time may still be accepted so much later."""


@dataclass(frozen=True, slots=True)
class Halt:
    """One halt.

    Attributes:
        issued_at: When its command was signed.
        ended_at: When the account was let to trade again.
        acknowledged_ms: When the last of those who obey had said so; None: not all of them in time.
    """

    issued_at: datetime
    ended_at: datetime
    acknowledged_ms: int | None

    def last_sent_ms(self, requests: Iterable[datetime]) -> float:
        """Return how long after it the last entry was sent; 0 where none was.

        Args:
            requests: When entries were sent.

        Raises:
            BenchmarkError: None was sent right before it.
        """
        near = [at - self.issued_at for at in requests if at < self.ended_at]
        if not any(timedelta(seconds=-ENTERING_S) <= after < timedelta() for after in near):
            latest = max((after for after in near if after < timedelta()), default=None)
            raise BenchmarkError(
                f"expected an entry within {ENTERING_S:g} s before the halt of {self.issued_at:%H:%M:%S.%f}, "
                f"found the latest {'nowhere' if latest is None else f'{-latest.total_seconds():.1f} s before it'}"
            )
        return max(0.0, max(near) / timedelta(milliseconds=1))

    def last_accepted_ms(self, accepted: Iterable[datetime]) -> float:
        """Return how long after it the exchange accepted the last entry; 0 where it accepted none.

        Args:
            accepted: When the exchange accepted entries, on its own time, which is this machine's.
        """
        after = [at - self.issued_at for at in accepted if self.issued_at <= at < self.ended_at]
        return max(after, default=timedelta()) / timedelta(milliseconds=1)


def measurement(
    connected: Sequence[Halt],
    disconnected: Sequence[Halt],
    requests: Sequence[datetime],
    accepted: Sequence[datetime],
) -> Measurement:
    """Return what the halts say, those with everything up and those with the stores frozen.

    Raises:
        BenchmarkError: Before one of them nothing was sent.
    """
    connected_ms = [halt.last_sent_ms(requests) for halt in connected]
    disconnected_ms = [halt.last_sent_ms(requests) for halt in disconnected]
    accepted_ms = {
        "connected": [halt.last_accepted_ms(accepted) for halt in connected],
        "disconnected": [halt.last_accepted_ms(accepted) for halt in disconnected],
    }
    acknowledged_ms = [float(halt.acknowledged_ms) for halt in connected if halt.acknowledged_ms is not None]
    return Measurement(
        figures=(
            Figure(
                name="halt to last entry sent, p99",
                unit="ms",
                value=quantile(connected_ms, 0.99),
                baseline=quantile(acknowledged_ms, 0.99) if acknowledged_ms else 0.0,
                baseline_name="acknowledged",
                budget=CONNECTED,
                samples=len(connected),
                load=load(),
            ),
            Figure(
                name="the same, Kafka and Redis frozen, max",
                unit="ms",
                value=max(disconnected_ms),
                baseline=float(PERMIT_LIFETIME_MS),
                baseline_name="a permit's lifetime",
                budget=DISCONNECTED,
                samples=len(disconnected),
                load=load(),
            ),
            Figure(
                name="halt to last entry accepted, max",
                unit="ms",
                value=max(accepted_ms["connected"]),
                baseline=float(RECV_WINDOW_MS),
                baseline_name="the receive window",
                budget=Budget(Bounded.VALUE, CONNECTED.limit + RECV_WINDOW_MS),
                samples=len(connected),
                load=load(),
            ),
            Figure(
                name="the same, Kafka and Redis frozen, max",
                unit="ms",
                value=max(accepted_ms["disconnected"]),
                baseline=float(RECV_WINDOW_MS),
                baseline_name="the receive window",
                budget=Budget(Bounded.VALUE, DISCONNECTED.limit + RECV_WINDOW_MS),
                samples=len(disconnected),
                load=load(),
            ),
        ),
        details={
            "last_entry_sent_ms": {"connected": spread(connected_ms), "disconnected": spread(disconnected_ms)},
            "acknowledged_ms": spread(acknowledged_ms) if acknowledged_ms else {},
            "last_entry_accepted_ms": {name: spread(values) for name, values in accepted_ms.items()},
            "sent_within_budget": {
                "connected": f"{sum(each <= CONNECTED.limit for each in connected_ms)} of {len(connected)}",
                "disconnected": f"{sum(each <= DISCONNECTED.limit for each in disconnected_ms)} of {len(disconnected)}",
            },
            "entries": len(requests),
            "entries_accepted": len(accepted),
        },
    )
