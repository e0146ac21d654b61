"""Faults of the market streams and of the user data streams.

Invariant: what a fault does to one user data stream changes nothing on another one of the same account.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from services.paper_exchange.api.connection import Connection
from services.paper_exchange.faults.faults import Faults
from services.paper_exchange.faults.menu import EventLate, EventTampered, Fault, StreamEnded, StreamSilent
from services.paper_exchange.faults.selection import Point, Subject

Json = dict[str, Any]


class MarketFaults:
    """Let market frames pass, or not.

    Args:
        faults: Says what strikes.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def passed(self, frames: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the frames that are to be sent, each with its stream."""
        passed = []
        for stream, frame in frames:
            symbol = stream.partition("@")[0].upper()
            fault = self._faults.strike(Point.MARKET_FRAME, Subject(stream=stream, symbol=symbol))
            if fault is None:
                passed.append((stream, frame))
            elif fault.kind == "market_broken":
                passed.append((stream, frame[: len(frame) // 2]))
        return passed


@dataclass(frozen=True, slots=True)
class Line:
    """One user data stream on its way to one client.

    Args:
        deliver: Sends an event.
        terminate: Ends the stream at this exchange time, and says so, on a connection that stays.
        connection: The connection.
    """

    deliver: Callable[[Json], None]
    terminate: Callable[[int], None]
    connection: Connection


class UserFaults:
    """Pass the events of accounts on to their listeners, or not.

    Args:
        faults: Says what strikes.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._endings: set[asyncio.Task[None]] = set()

    def between(self, account: str, line: Line) -> Callable[[Json], None]:
        """Return what takes an account's events in place of the line itself."""
        held: list[Json] = []

        def receive(event: Json) -> None:
            fault = self._faults.strike(Point.USER_EVENT, _subject(account, event))
            if isinstance(fault, EventTampered) and fault.kind == "event_swapped":
                held.append(event)
                return
            if fault is None:
                line.deliver(event)
            else:
                self._tamper(fault, event, line)
            while held:
                line.deliver(held.pop(0))

        return receive

    def _tamper(self, fault: Fault, event: Json, line: Line) -> None:
        match fault:
            case EventTampered(kind="event_doubled"):
                line.deliver(event)
                line.deliver(event)
            case EventLate():
                delay_s = self._faults.between(fault.delay_ms_min, fault.delay_ms_max)
                asyncio.get_running_loop().call_later(delay_s, line.deliver, event)
            case StreamEnded(kind="stream_terminated"):
                line.terminate(self._faults.now_ms())
            case StreamEnded(kind="stream_shut_down"):
                self._end(line.connection.say_farewell(self._faults.now_ms()))
            case StreamEnded(kind="stream_closed"):
                self._end(line.connection.close())
            case StreamEnded():
                line.connection.cut()
            case StreamSilent():
                line.connection.fall_silent(float(fault.silent_s))

    def _end(self, ending: Coroutine[Any, Any, None]) -> None:
        """Let a connection end once what is happening now has happened."""
        task = asyncio.get_running_loop().create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


def _subject(account: str, event: Json) -> Subject:
    return Subject(
        account=account,
        symbol=str(event.get("s", "")),
        side=str(event.get("S", "")),
        client_id=str(event.get("C") or event.get("c") or ""),
        event=str(event["e"]),
    )
