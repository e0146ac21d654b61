"""Whom a fault strikes: at which point of a message's way, which messages, how likely, how often and for how long.

Invariant: what a selector names and a message does not have is no match.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

SECONDS_MAX = 3_600

Seconds = Annotated[Decimal, Field(gt=0, le=SECONDS_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Point(Enum):
    """Where on its way a message is struck; at each point at most one fault strikes."""

    ARRIVAL = auto()  # a request, before anything is done with it
    INSTEAD = auto()  # a request, which then is not looked at
    CONTENT = auto()  # what an answer says
    REPLY = auto()  # the answer to a request that took effect
    EXECUTION = auto()  # an order that was accepted
    USER_EVENT = auto()  # an event for one user data stream
    MARKET_FRAME = auto()  # a frame for all who listen to a market stream


@dataclass(frozen=True, slots=True)
class Subject:
    """A message that may be struck; what it does not have is empty."""

    method: str = ""
    path: str = ""
    account: str = ""
    symbol: str = ""
    side: str = ""
    client_id: str = ""
    event: str = ""
    stream: str = ""


class Selector(BaseModel):
    """Whom a fault may strike: everything that is named must agree.

    Attributes:
        method: `GET`, `POST`, `DELETE`, or `WS` for a request over the WebSocket API.
        path: The path, or the method of the WebSocket API.
        account: Its name, such as `main` or `visitor`.
        symbol: As the exchange spells it.
        side: `BUY` or `SELL`.
        client_id_prefix: How the client order id begins, which shows an order's role.
        event: Type of a user data event, such as `executionReport`.
        stream: A market stream, such as `btcusdt@trade`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Name | None = None
    path: Name | None = None
    account: Name | None = None
    symbol: Name | None = None
    side: Literal["BUY", "SELL"] | None = None
    client_id_prefix: Name | None = None
    event: Name | None = None
    stream: Name | None = None

    def agrees(self, subject: Subject) -> bool:
        """Return whether a message is one of those."""
        if self.client_id_prefix is not None and not subject.client_id.startswith(self.client_id_prefix):
            return False
        return all(
            wanted in (None, found)
            for wanted, found in (
                (self.method, subject.method),
                (self.path, subject.path),
                (self.account, subject.account),
                (self.symbol, subject.symbol),
                (self.side, subject.side),
                (self.event, subject.event),
                (self.stream, subject.stream),
            )
        )


class Armed(BaseModel):
    """What every fault has.

    Attributes:
        on: Whom it may strike.
        probability: How likely it strikes each of them.
        count: How often it strikes at most.
        for_s: For how long it may strike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    point: ClassVar[Point]
    is_noted_once: ClassVar[bool] = False
    """Whether only the first of many equal strikes is written down."""

    kind: str
    on: Selector = Selector()
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    count: Annotated[int, Field(ge=1)] | None = None
    for_s: Seconds | None = None
