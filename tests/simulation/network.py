"""The way between the services and the exchange, and everything that happens on it.

Invariant: a request arrives at most once. Whether its answer comes, and as what, is another matter.
"""

import asyncio
import json
from collections.abc import Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import aiohttp

from tests.simulation.connections import SimulatedSession, SimulatedSocket
from tests.simulation.exchange import HttpAnswer, SimulatedExchange, error
from tests.simulation.loop import CURRENT, WORLD, Process
from tests.simulation.machine import Machine
from tests.simulation.weather import AFTER_ARRIVAL, BEFORE_ARRIVAL, Fault, NoReplyError, Weather

_SERVER_CODES: Final = (-1000, -1001, -1006, -1007)
_WRITES: Final = frozenset({"POST", "DELETE"})


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: who sends it, and when it made up its mind to."""

    method: str
    path: str
    query: str
    api_key: str
    process: Process
    at_s: float

    @property
    def name(self) -> str:
        """What it is about, for people and for the steps of the protocol."""
        return f"{self.method} {self.path.rsplit('/', 1)[-1]} {_subject(self.query)}".rstrip()


_UNTOUCHED: Final[Mapping[Fault, HttpAnswer | Exception]] = {
    Fault.CUT_BEFORE: NoReplyError("cut while it was written"),
    Fault.UNAVAILABLE: error(503),
    Fault.TOO_MANY: error(429, -1003, retry_after_s=2),
}
"""What is answered to requests that never reach the exchange itself."""


class Network:
    """Carries requests to the exchange and events back."""

    def __init__(self, machine: Machine, exchange: SimulatedExchange, seed: int) -> None:
        self.machine = machine
        self.exchange = exchange
        self.chance = Random(f"network {seed}")
        self.weather = Weather()
        self.faults: dict[Fault, int] = {}
        self.sockets: dict[SimulatedSocket, None] = {}
        self.sender: Sent | None = None
        self.healthy: dict[str, Any] = {}
        self._world: Context = copy_context()
        self._world.run(CURRENT.set, WORLD)

    async def ask(self, method: str, path: str, query: str, api_key: str) -> HttpAnswer:
        """Make a request.

        Raises:
            ConnectionRefusedError: Nothing was sent.
            NoReplyError: Sent, and the connection broke.
        """
        request = Sent(method, path, query, api_key, CURRENT.get(), self.machine.loop.time())
        await self.machine.reach(f"sending {request.name}")
        fault = self._fault(method)
        if fault is Fault.REFUSED:
            await asyncio.sleep(0.001)
            raise ConnectionRefusedError
        answered: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        delay_s = self.chance.uniform(0.0005, self.weather.delay_s_max)
        if fault is Fault.LATE:
            delay_s = self.chance.choice((self.chance.uniform(0.2, 1.5), self.chance.uniform(1.5, 14.0)))
        if method in _WRITES:
            self.machine.say(f"{request.process.name} {request.name} {fault.name}")
        self.machine.loop.call_later(delay_s, self._arrive, request, fault, answered, context=self._world)
        await self.machine.reach(f"sent {request.name}")
        answer = await answered
        await self.machine.reach(f"answered {request.name}")
        return answer

    def _fault(self, method: str) -> Fault:
        weather = self.weather
        fault = Fault.NONE
        if weather.down:
            fault = self.chance.choice((Fault.REFUSED, Fault.NEVER_ARRIVED))
        elif method in _WRITES and weather.planned:
            fault = weather.planned.pop(0)
        elif self.chance.random() < (weather.write_faults if method in _WRITES else weather.read_faults):
            kinds = AFTER_ARRIVAL if self.chance.random() < 0.7 else BEFORE_ARRIVAL
            fault = self.chance.choice(kinds)
        if fault is not Fault.NONE and method == "POST":
            self.faults[fault] = self.faults.get(fault, 0) + 1
        return fault

    def _arrive(self, request: Sent, fault: Fault, answered: "asyncio.Future[HttpAnswer]") -> None:
        if fault is Fault.NEVER_ARRIVED:
            return
        if fault in _UNTOUCHED:
            self._later(answered, _UNTOUCHED[fault])
            return
        self.sender = request
        answer = self.exchange.answer(request.method, request.path, request.query, request.api_key)
        self.sender = None
        if request.method == "POST":
            self.machine.say(f"exchange {request.name} {answer.status} {answer.text[:60]}")
        match fault:
            case Fault.LATE | Fault.LOST:
                return
            case Fault.RESET | Fault.CUT:
                self._later(answered, NoReplyError(fault.name))
            case Fault.PAGE:
                self._later(answered, error(200))
            case Fault.SERVER_PAGE:
                self._later(answered, error(self.chance.choice((500, 502, 503, 504))))
            case Fault.SERVER_CODE:
                self._later(answered, error(self.chance.choice((500, 503)), self.chance.choice(_SERVER_CODES)))
            case _:
                self._later(answered, self._lagging(request, answer))

    def _later(self, answered: "asyncio.Future[HttpAnswer]", outcome: HttpAnswer | Exception) -> None:
        def answer() -> None:
            if answered.done():
                return
            if isinstance(outcome, Exception):
                answered.set_exception(outcome)
            else:
                answered.set_result(outcome)

        delay_s = self.chance.uniform(0.0005, self.weather.delay_s_max)
        self.machine.loop.call_later(delay_s, answer, context=self._world)

    def _lagging(self, request: Sent, answer: HttpAnswer) -> HttpAnswer:
        """Queries do not show at once what has happened."""
        lag_ms = self.weather.lag_s * 1_000
        if request.method != "GET" or not lag_ms or answer.status != 200:
            return answer
        visible_ms = self.exchange.venue.now_ms - lag_ms
        if request.path.endswith("/order") and json.loads(answer.text)["time"] > visible_ms:
            return error(400, -2013)
        if request.path.endswith("/myTrades"):
            trades = [trade for trade in json.loads(answer.text) if trade["time"] <= visible_ms]
            return HttpAnswer(200, answer.headers, json.dumps(trades))
        return answer

    def cut_streams(self, *, silently: bool = False) -> None:
        """End every connection of the user streams, or let it stay open and deliver nothing."""
        for socket in list(self.sockets):
            socket.cut(silently=silently)

    # What stands for `aiohttp.ClientSession`.

    def session(self, timeout: aiohttp.ClientTimeout | None = None, **_: Any) -> "SimulatedSession":
        """Return a session, whose requests end after its time-out unless they bring their own."""
        return SimulatedSession(self, timeout)


def _subject(query: str) -> str:
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in {"newClientOrderId", "listClientOrderId", "origClientOrderId"}:
            return value
    return ""
