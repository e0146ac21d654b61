"""Sweep until a halt is known to hold at the exchange, and until what it sells is sold.

Invariant: a sweep proves that no entry of a symbol is left only if it began, on the exchange's time, after the last
request that may have been signed before the halt could still be accepted, if the symbol answered it, and if no
entry's outcome is unknown. Each symbol is proven by itself, so that an exchange which fails now and then is no
obstacle.
"""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from libs.common.clock import Clock, from_epoch_ms
from libs.common.contracts.event import Event
from libs.common.contracts.events import AccountSwept
from libs.common.control.halts import HaltRecord
from libs.common.errors import RetryableError
from libs.trading.risk import Role
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.persisting import fetch, persist
from services.trade_executor.service.ports import Records, Transactions
from services.trade_executor.service.sweeping import Sweep, Sweeper
from services.trade_executor.service.venues import Venues

FENCE_MARGIN_MS: Final = 250
"""What the exchange's time, as we know it, may be off."""

PAUSES_S: Final = (0.25, 0.5, 1.0)
SALE_LOOK_S: Final = 0.5
IDLE_S: Final = 0.1

_LOG: Final = structlog.get_logger()


@dataclass(slots=True)
class _Clearance:
    """What is still to be proven of one account.

    Attributes:
        halts: Those that wait for it, by id.
        wanted: How often halts were added: what is found out meanwhile is about those before.
        fence_ms: Sweeps that began by then prove nothing; None while the exchange's time is unknown.
        proven: The symbols of which no entry is left, with when the sweep that proved it began.
        is_clear: Whether that is all of them.
    """

    account: str
    halts: dict[str, HaltRecord] = field(default_factory=dict)
    wanted: int = 0
    fence_ms: int | None = None
    proven: dict[str, int] = field(default_factory=dict)
    is_clear: bool = False
    cancelled: int = 0
    attempts: int = 0
    due_s: float = 0.0


class Clearing:
    """Keeps sweeping the accounts that were halted.

    Args:
        symbols: Every market.
        recv_window_ms: How long after its signing the exchange still accepts an entry.
        brake: Knows which halts are in force: one that was resumed needs no proof, and its account may enter.
        sweeper: Cancels.
        venues: Knows the exchange's time.
        transactions: Which entries are of unknown outcome, and where the proof is written down.
        clock: Tells when to look again.
    """

    def __init__(
        self,
        *,
        symbols: Sequence[str],
        recv_window_ms: int,
        brake: Brake,
        sweeper: Sweeper,
        venues: Venues,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._symbols = tuple(symbols)
        self._fence_after_ms = recv_window_ms + FENCE_MARGIN_MS
        self._brake = brake
        self._sweeper = sweeper
        self._venues = venues
        self._transactions = transactions
        self._clock = clock
        self._clearances: dict[str, _Clearance] = {}
        self._arrived = asyncio.Event()

    def symbols_of(self, halts: Sequence[HaltRecord]) -> tuple[str, ...]:
        """Return the markets whose entries some halts stop; a strategy may be in any."""
        return tuple(symbol for symbol in self._symbols if any(halt.scope_symbol in (None, symbol) for halt in halts))

    def want(self, account: str, halts: Sequence[HaltRecord], *, cancelled: int = 0) -> None:
        """Prove that halts hold, from now on."""
        clearance = self._clearances.setdefault(account, _Clearance(account))
        clearance.halts.update({halt.halt_id: halt for halt in halts})
        clearance.wanted += 1
        clearance.cancelled += cancelled
        clearance.fence_ms = self._fence(account)
        clearance.proven.clear()
        clearance.is_clear = False
        clearance.attempts = 0
        clearance.due_s = self._clock.monotonic_s()
        self._arrived.set()

    async def run(self) -> None:
        """Sweep whenever it is time, for ever."""
        while True:
            if not self._clearances:
                self._arrived.clear()
                await self._arrived.wait()
            await self.step()
            await asyncio.sleep(IDLE_S)

    async def step(self) -> None:
        """Take the next step for every account whose time has come."""
        for clearance in list(self._clearances.values()):
            if clearance.due_s <= self._clock.monotonic_s():
                await self._advance(clearance)

    async def _advance(self, clearance: _Clearance) -> None:
        for halt_id in list(clearance.halts):
            if self._brake.is_over(halt_id):
                del clearance.halts[halt_id]
        try:
            if clearance.halts and not clearance.is_clear:
                await self._sweep(clearance)
            if clearance.halts and clearance.is_clear:
                await self._look_at_sales(clearance)
        except RetryableError as error:
            _LOG.error("A halt could not be verified yet", account=clearance.account, error=str(error))
            self._later(clearance, error.retry_in_s or 0.0)
        if not clearance.halts:
            self._clearances.pop(clearance.account, None)

    async def _sweep(self, clearance: _Clearance) -> None:
        halts = tuple(clearance.halts.values())
        if clearance.fence_ms is None:
            clearance.fence_ms = self._fence(clearance.account)
        symbols = self.symbols_of(halts)
        wanted = clearance.wanted
        unproven = [symbol for symbol in symbols if symbol not in clearance.proven]
        sweep = await self._sweeper.sweep(clearance.account, unproven)
        clearance.cancelled += sweep.cancelled
        if clearance.wanted != wanted:
            return  # another halt came meanwhile: its fence is later
        if sweep.empty:
            clearance.attempts = 0
        self._note(clearance, sweep)
        is_proven = clearance.proven.keys() >= set(symbols) and not await self._are_unknown(clearance)
        if clearance.wanted != wanted:
            return
        if not is_proven:
            self._later(clearance, sweep.retry_in_s)
            return
        clearance.is_clear = True
        await self._tell(clearance, halts, flat=False)
        for halt in halts:
            if not halt.liquidate:
                clearance.halts.pop(halt.halt_id, None)

    def _note(self, clearance: _Clearance, sweep: Sweep) -> None:
        """Take what a sweep proves; one that began before the fence proves nothing."""
        if sweep.began_ms is not None and clearance.fence_ms is not None and sweep.began_ms > clearance.fence_ms:
            clearance.proven.update(dict.fromkeys(sweep.empty, sweep.began_ms))

    async def _are_unknown(self, clearance: _Clearance) -> bool:
        """Tell whether entries of unknown outcome are left; their symbols are to be swept again."""
        unresolved = await fetch(self._transactions, lambda records: records.unresolved(clearance.account))
        unknown = {order.symbol for order in unresolved if order.role is Role.ENTRY} & clearance.proven.keys()
        for symbol in unknown:
            del clearance.proven[symbol]
        return bool(unknown)

    async def _look_at_sales(self, clearance: _Clearance) -> None:
        """Tell of every halt whose positions are gone."""
        clearance.due_s = self._clock.monotonic_s() + SALE_LOOK_S
        wanted = clearance.wanted
        for halt in tuple(clearance.halts.values()):
            held = await self._held(clearance.account, halt)
            if clearance.wanted != wanted:
                return  # nothing is proven any more
            if not held:
                await self._tell(clearance, (halt,), flat=True)
                clearance.halts.pop(halt.halt_id, None)

    async def _held(self, account: str, halt: HaltRecord) -> Sequence[uuid.UUID]:
        """Return the chains in a halt's scope that may still hold something or come to."""

        async def query(records: Records) -> Sequence[uuid.UUID]:
            held = []
            for chain_id in await records.open_chains(account):
                entry = await records.order(chain_id)
                if entry is None or halt.stops(account, symbol=entry.symbol, strategy=entry.strategy):
                    held.append(chain_id)
            return held

        return await fetch(self._transactions, query)

    async def _tell(self, clearance: _Clearance, halts: Sequence[HaltRecord], *, flat: bool) -> None:
        events = [
            AccountSwept(
                occurred_at=self._clock.now(),
                account=clearance.account,
                halt_id=halt.halt_id,
                scope_symbol=halt.scope_symbol,
                scope_strategy=halt.scope_strategy,
                swept_at=from_epoch_ms(min(clearance.proven.values(), default=clearance.fence_ms or 0)),
                orders_cancelled=clearance.cancelled,
                flat=flat,
            )
            for halt in halts
        ]
        await persist(self._transactions, partial(_answer, events))
        _LOG.info("A halt is verified", account=clearance.account, halts=[halt.halt_id for halt in halts], flat=flat)

    def _later(self, clearance: _Clearance, retry_in_s: float) -> None:
        pause_s = PAUSES_S[min(clearance.attempts, len(PAUSES_S) - 1)]
        clearance.attempts += 1
        clearance.due_s = self._clock.monotonic_s() + max(pause_s, retry_in_s)

    def _fence(self, account: str) -> int | None:
        exchange_ms = self._venues.exchange_ms(account)
        return None if exchange_ms is None else exchange_ms + self._fence_after_ms


async def _answer(events: Sequence[Event], _: Records) -> Sequence[Event]:
    return events
