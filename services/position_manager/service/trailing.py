"""Closed candles move the stops of positions that trail.

Invariant: a candle counts for a position if it closed after the position was opened, whichever of the two is told
first; so live and backtest see the same highs. A high that was counted before changes nothing, so that candles are
only observed: a process that starts reads again those that may matter (`reach`).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import CandleClosed, StopMoved
from libs.common.errors import InvalidMessageError, RetryableError
from libs.trading.instruments import Instrument
from services.position_manager.domain.equity import AccountBook
from services.position_manager.domain.ledger import Holding
from services.position_manager.domain.trailing import High, Highs, trailed
from services.position_manager.service.accounts import Accounts, Apply
from services.position_manager.service.ports import Ledger

_log = structlog.get_logger(__name__)


class _Move(NamedTuple):
    book: AccountBook
    after: Holding
    highest: High


class StopTrailer:
    """Observer of decision candles, which it remembers; it moves nothing while it has no books, as a standby.

    Args:
        accounts: The books, as far as they are committed.
        instruments: The symbols' rules.
        interval_s: The decision candles'; others move no stop.
        apply: Runs a transaction of the owner; asked for one only where a stop moves.
    """

    def __init__(
        self, *, accounts: Accounts, instruments: Mapping[str, Instrument], interval_s: int, apply: Apply
    ) -> None:
        self._accounts = accounts
        self._instruments = instruments
        self._interval_s = interval_s
        self._apply = apply
        self._highs: dict[str, Highs] = {}

    async def on_candle(self, envelope: Envelope[CandleClosed]) -> None:
        """Move the stops that a candle's high leads up; one that may lack trades waits for its complete version."""
        candle = envelope.event
        if candle.interval_s != self._interval_s or candle.partial or candle.symbol not in self._instruments:
            return
        self._highs.setdefault(candle.symbol, Highs()).note(High(candle.close_at, candle.high))
        await self.look()

    async def look(self) -> None:
        """Move the stops that the highs so far lead up: also those of fills, and of a role, that came after them."""
        if next(self._moves(), None) is None:
            return
        try:
            await self._apply(self._move)
        except RetryableError as error:
            _log.warning("No stop moved for now", error=str(error))

    async def _move(self, ledger: Ledger) -> Sequence[Event]:
        events = []
        for book, after, highest in self._moves():
            await ledger.save_holding(after)
            ledger.after_commit(partial(book.holdings.update, {after.symbol: after}))
            events.append(stop_moved(after, highest))
        return events

    def _moves(self) -> Iterator[_Move]:
        for book in list(self._accounts.books.values()):
            for held in list(book.holdings.values()):
                highs, instrument = self._highs.get(held.symbol), self._instruments.get(held.symbol)
                if highs is None or instrument is None or held.opened_at is None:
                    continue
                highest = highs.since(held.opened_at)
                if highest is None:
                    continue
                after = trailed(held, highest.price, instrument.price_tick)
                if after is not held:
                    yield _Move(book, after, highest)


def stop_moved(holding: Holding, highest: High) -> StopMoved:
    """Return the event that has a position's protection moved.

    Raises:
        InvalidMessageError: The position is none that trails.
    """
    if holding.entry_intent_id is None or holding.trailing_stop is None:
        raise InvalidMessageError("stop", expected="a position that trails", found=holding.symbol)
    return StopMoved(
        occurred_at=highest.closed_at,
        account=holding.account,
        symbol=holding.symbol,
        revision=holding.revision,
        entry_intent_id=holding.entry_intent_id,
        stop_loss=holding.trailing_stop,
        highest=highest.price,
    )
