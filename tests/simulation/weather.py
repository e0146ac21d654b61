"""What may happen on the way to the exchange, and how often it does.

Invariant: a fault says for certain whether the request arrives; only the sender cannot know.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final


class Fault(Enum):
    """What becomes of a request."""

    NONE = auto()
    REFUSED = auto()  # no connection: nothing was sent
    NEVER_ARRIVED = auto()  # sent, and lost; no answer
    CUT_BEFORE = auto()  # the connection is cut while it is written: it does not arrive
    LATE = auto()  # it arrives when nobody waits any more
    LOST = auto()  # it arrives, the answer does not
    RESET = auto()  # the same, and the connection breaks
    CUT = auto()  # the answer's body is cut
    PAGE = auto()  # 200 with a page in place of JSON
    SERVER_PAGE = auto()  # 5xx with a page
    SERVER_CODE = auto()  # 5xx with a code that proves nothing
    UNAVAILABLE = auto()  # 503 before it arrives
    TOO_MANY = auto()  # 429 before it arrives


AFTER_ARRIVAL: Final = (Fault.LOST, Fault.RESET, Fault.CUT, Fault.PAGE, Fault.SERVER_PAGE, Fault.SERVER_CODE)
BEFORE_ARRIVAL: Final = (Fault.REFUSED, Fault.NEVER_ARRIVED, Fault.CUT_BEFORE, Fault.LATE, Fault.UNAVAILABLE)


@dataclass
class Weather:
    """How bad the way is.

    Attributes:
        write_faults: How often orders and cancels meet a fault, and `read_faults` questions.
        delay_s_max: How long a way takes.
        lag_s: How long queries do not show what happened.
        down: Nobody comes through.
    """

    write_faults: float = 0.0
    read_faults: float = 0.0
    delay_s_max: float = 0.02
    lag_s: float = 0.0
    down: bool = False
    stream_losses: float = 0.0
    stream_doubles: float = 0.0
    planned: list[Fault] = field(default_factory=list)


class NoReplyError(Exception):
    """The connection ended without a complete answer."""
