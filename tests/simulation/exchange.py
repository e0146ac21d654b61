"""The real venue and its API gate under the virtual clock, and a journal in memory that is the truth.

Invariant: a request that has left arrives, whatever becomes of the process that sent it.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import parse_qsl

from libs.invariants.journal import _apply_change
from libs.invariants.records import Truth
from services.paper_exchange.api.gate import Request
from services.paper_exchange.api.keys import ApiKey, Permission
from services.paper_exchange.api.server import _response, _unsigned
from services.paper_exchange.api.time_unit import TimeUnit
from services.paper_exchange.exchange import Exchange
from services.paper_exchange.market.recording import Recording
from services.paper_exchange.market.reel import Reel
from services.paper_exchange.market.tape import Tape
from tests.simulation.machine import SimulatedClock

KEY: Final = ApiKey("main", "main", "k" * 64, "s" * 64, frozenset(Permission))
PRICES: Final = {"BTCUSDT": 5_000_000, "ETHUSDT": 300_000}
"""Where the walks begin, in ticks of 0.01 USDT."""

LOT_STEPS: Final = {"BTCUSDT": "0.00001", "ETHUSDT": "0.0001"}
QUOTE_MS: Final = 250
TURN_S: Final = QUOTE_MS / 1_000
JUMP_RATE: Final = 0.004


class MemoryJournal:
    """The journal of the venue; every line is applied to the truth."""

    state = None

    def __init__(self, _: Path) -> None:
        self.truth = Truth()
        self.observers: list[Callable[[dict[str, Any]], None]] = []

    def begin(self, changes: Sequence[dict[str, Any]], **_: Any) -> None:
        """Take the opening balances."""
        self._take(changes)

    def append(self, changes: Sequence[dict[str, Any]], snapshot: Any, **_: Any) -> None:
        """Take one transaction."""
        del snapshot
        self._take(changes)

    def mark(self, place_ms: int) -> None:
        """The market's place is not needed."""

    def close(self) -> None:
        """Nothing is open."""

    def _take(self, changes: Sequence[dict[str, Any]]) -> None:
        self.truth.sequence += 1
        for change in changes:
            _apply_change(self.truth, change)
        for change in changes:
            for observer in self.observers:
                observer(change)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete answer."""

    status: int
    headers: dict[str, str]
    text: str


class SimulatedExchange:
    """Binance as far as a client can tell, in one process with everybody else."""

    def __init__(self, clock: SimulatedClock, seed: int, *, length_s: int) -> None:
        tape = Tape.of(
            Reel([a_walk(symbol, Random(f"{symbol} {seed}"), length_s) for symbol in PRICES]), identity=f"walk {seed}"
        )
        with patch("services.paper_exchange.exchange.Journal", MemoryJournal):
            self._exchange = Exchange(
                clock=clock, tape=tape, speed=Fraction(1), seed=seed, journal_dir=Path("memory"), keys=[KEY]
            )
        self.venue = self._exchange.venue
        self.feed = self._exchange.feed
        self.journal: MemoryJournal = self.venue._recorder._journal  # type: ignore[assignment]
        self.gate = self._exchange.server._gate
        self._endpoints = self._exchange.server._endpoints
        self.paths = {path.removeprefix("/api/v3/").replace("/", "_").lower(): path for _, path in self._endpoints}

    @property
    def truth(self) -> Truth:
        """What the exchange knows."""
        return self.journal.truth

    def bid(self, symbol: str) -> Decimal:
        """Return the best bid of a symbol."""
        return Decimal(self.venue.books[symbol.replace("/", "")].quote.bid) / 100

    async def turn(self) -> None:
        """Let the market go on, for ever."""
        while True:
            self.venue.advance()
            await asyncio.sleep(TURN_S)

    def answer(self, method: str, path: str, query: str, api_key: str) -> HttpAnswer:
        """Answer a request as the server does."""
        endpoint = self._endpoints[method, path]
        request = Request(
            address="127.0.0.1",
            values=dict(parse_qsl(query, keep_blank_values=True)),
            signed_payload=_unsigned(query.encode()),
            api_key=api_key,
        )
        response = _response(self.gate.handle(endpoint, request), TimeUnit.MILLISECOND)
        body = response.body
        return HttpAnswer(response.status, dict(response.headers), body.decode() if isinstance(body, bytes) else "")


def error(status: int, code: int | None = None, *, retry_after_s: int | None = None) -> HttpAnswer:
    """Return an error of the exchange, or the page of what stands before it."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    if code is None:
        return HttpAnswer(status, headers, f"<html><body>{status}</body></html>")
    return HttpAnswer(status, headers, json.dumps({"code": code, "msg": "simulated"}))


def a_walk(symbol: str, chance: Random, length_s: int) -> Recording:
    """Return a market that wanders, and now and then jumps."""
    times, bids, trade_times, trades = [], [], [], []
    begin = bid = PRICES[symbol]
    for at_ms in range(0, length_s * 1_000, QUOTE_MS):
        bid += round(chance.gauss(0, 0.000_16) * begin)
        if chance.random() < JUMP_RATE:
            bid += round(chance.choice((-1, 1)) * chance.uniform(0.004, 0.018) * begin)
        bid = max(begin // 2, bid)
        times.append(at_ms)
        bids.append(bid)
        trade_times.append(at_ms + 1)
        trades.append(bid + chance.randrange(2))
    return Recording(
        symbol=symbol,
        price_tick="0.01",
        lot_step=LOT_STEPS[symbol],
        length_ms=length_s * 1_000,
        source="a simulation",
        quote_times=times,
        bids=bids,
        asks=[each + 1 for each in bids],
        bid_lots=[chance.randrange(200, 5_000) for _ in bids],
        ask_lots=[chance.randrange(200, 5_000) for _ in bids],
        trade_times=trade_times,
        quotes_before=list(range(1, len(times) + 1)),
        prices=trades,
        lots=[chance.randrange(1, 300) for _ in trades],
        buyer_is_maker=[chance.random() < 0.5 for _ in trades],
    )
