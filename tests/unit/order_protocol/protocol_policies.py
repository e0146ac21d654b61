"""What may be done about an order that nobody answered for, and how long each part of the exchange may take."""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final


@dataclass(frozen=True)
class Timing:
    """The protocol's durations, all in one unit: ticks where they are searched, milliseconds where they are the code's.

    Args:
        recv_window: After the signing time the gateway passes a request on for so long.
        engine_delay: What it passed on is at the exchange after so long, or never.
        query_lag: What is at the exchange is found after so long.
        clock_error: So far our reckoning of the exchange's time may be off.
        quarantine: What was given up counts for so long.
    """

    recv_window: int = 1
    engine_delay: int = 1
    query_lag: int = 1
    clock_error: int = 1
    quarantine: int = 1

    @property
    def fence(self) -> int:
        """Beyond the receive window, by our own reckoning (`FENCE_MS`)."""
        return self.engine_delay + self.query_lag + self.clock_error

    @property
    def settled(self) -> int:
        """The true age from which an order is at the exchange and found there, or will never be."""
        return self.recv_window + self.engine_delay + self.query_lag


class OnSilence(Enum):
    """What follows when a request was not answered."""

    SEND_ANEW = "the approval is read again"
    RESEND = "the same request is sent again"
    QUERY_THEN_RESEND = "it is sent again if a query does not find it"
    COUNT_NOT_FOUNDS = "some queries that do not find it are a refusal"
    WAIT_FOR_FENCE = "only queries past the fence prove anything"


@dataclass(frozen=True)
class Policy:
    """One way to send orders; the defaults are the protocol's, each field but the first two a place for a mistake.

    Args:
        name: For people.
        on_silence: What an unanswered request leads to.
        quarantines: Whether a given-up order counts on, and is watched.
        records_first: Whether the intent is durable before it is sent.
        fence_short_by: How much of the fence is missing.
        fence_by_host_clock: Whether the fence follows a clock that somebody can set.
        not_founds: How many of them give an order up.
        epoch_guard: Whether the books refuse what a predecessor writes.
        start_abandons: Whether a start takes what it did not send for unsent.
        counts_unknown: Whether an order of unknown outcome counts as if it had filled.
    """

    name: str
    on_silence: OnSilence = OnSilence.WAIT_FOR_FENCE
    quarantines: bool = True
    records_first: bool = True
    fence_short_by: int = 0
    fence_by_host_clock: bool = False
    not_founds: int = 2
    epoch_guard: bool = True
    start_abandons: bool = False
    counts_unknown: bool = True
    timing: Timing = field(default_factory=Timing)

    @property
    def passes_fence_after(self) -> int:
        """The true age from which a reckoning that is as wrong as may be puts the exchange past the fence."""
        return self.timing.recv_window + self.timing.fence - self.timing.clock_error - self.fence_short_by


PROTOCOL: Final = Policy("fence + quarantine")
FENCE: Final = Policy("fence", quarantines=False)
SEND_THEN_LOG: Final = Policy("send, then log", OnSilence.SEND_ANEW, records_first=False, quarantines=False)
BLIND_RETRY: Final = Policy("blind retry", OnSilence.RESEND, quarantines=False)
QUERY_THEN_RESEND: Final = Policy("query, then resend", OnSilence.QUERY_THEN_RESEND, quarantines=False)
COUNT_NOT_FOUNDS: Final = Policy("N not-founds are a refusal", OnSilence.COUNT_NOT_FOUNDS, quarantines=False)

PLANTED: Final = {
    "a fence that leaves out one of its terms": replace(PROTOCOL, fence_short_by=1),
    "a fence by the host's clock": replace(PROTOCOL, fence_by_host_clock=True),
    "one not-found is enough": replace(PROTOCOL, not_founds=1),
    "writes without the epoch": replace(PROTOCOL, epoch_guard=False),
    "a start that takes for unsent what it did not send": replace(PROTOCOL, start_abandons=True),
    "an unknown order that does not count": replace(PROTOCOL, counts_unknown=False),
}
"""The protocol, each time with one mistake."""
