"""The user data streams of one connection.

Invariant: a connection has at most one open stream for an account, and none outlives the connection.

Source: the bounds are those of "User Data Stream subscription" in Binance's documents.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.paper_exchange.api.connection import Connection
from services.paper_exchange.api.feed import Feed
from services.paper_exchange.faults.streams import Line, UserFaults
from services.paper_exchange.venue.errors import ApiError

ACTIVE_MAX = 1_000
LIFETIME_MAX = 65_535
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Stream:
    account: str
    of_session: bool
    receive: Callable[[Json], None]
    deliver: Callable[[Json], None]


class UserStreams:
    """Opens and ends subscriptions.

    Args:
        feed: Tells of accounts.
        send: Sends a message to the client.
        connection: The connection itself.
        faults: What may come between; None: nothing.
    """

    def __init__(
        self, feed: Feed, send: Callable[[Json], None], *, connection: Connection, faults: UserFaults | None = None
    ) -> None:
        self._feed = feed
        self._send = send
        self._connection = connection
        self._faults = faults
        self._open: dict[int, _Stream] = {}
        self._opened = 0

    def active(self) -> list[Json]:
        """Return the open subscriptions."""
        return [{"subscriptionId": number} for number in self._open]

    def open(self, account: str, *, of_session: bool) -> Json:
        """Tell the client of an account from now on.

        Raises:
            ApiError: It is told already, or has too many subscriptions.
        """
        if any(stream.account == account for stream in self._open.values()):
            raise ApiError(-2035, "User Data Stream subscription already active.")
        if len(self._open) >= ACTIVE_MAX or self._opened >= LIFETIME_MAX:
            raise ApiError(-2042, "Maximum subscription ID reached for this connection.")
        number = self._opened
        self._opened += 1

        def deliver(event: Json) -> None:
            self._send({"subscriptionId": number, "event": event})

        receive: Callable[[Json], None] = deliver
        if self._faults is not None:
            line = Line(deliver, lambda now_ms: self.end(number, now_ms), self._connection)
            receive = self._faults.between(account, line)
        self._open[number] = _Stream(account, of_session, receive, deliver)
        self._feed.subscribe_account(account, receive)
        return {"subscriptionId": number}

    def end(self, number: int | None, now_ms: int) -> None:
        """End one subscription if there is such a one, or all, and say so."""
        self._end([each for each in self._open if number in (None, each)], now_ms)

    def end_of_session(self, now_ms: int) -> None:
        """End what was opened for the account that was logged on."""
        self._end([number for number, stream in self._open.items() if stream.of_session], now_ms)

    def drop_all(self) -> None:
        """Forget everything, because the connection is gone."""
        for stream in self._open.values():
            self._feed.unsubscribe_account(stream.account, stream.receive)
        self._open.clear()

    def _end(self, numbers: list[int], now_ms: int) -> None:
        for number in numbers:
            stream = self._open.pop(number)
            self._feed.unsubscribe_account(stream.account, stream.receive)
            stream.deliver({"e": "eventStreamTerminated", "E": now_ms})
