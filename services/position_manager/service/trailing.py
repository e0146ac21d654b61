"""Closed candles move the stops of positions that trail.

Invariant: a candle counts for a position if it closed after the position was opened, whichever of the two is told
first; so live and backtest see the same highs. A high that was counted before changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import CandleClosed, StopMoved
from libs.common.errors import InvalidMessageError
from libs.trading.instruments import Instrument
from services.position_manager.domain.ledger import Holding
from services.position_manager.domain.trailing import trailed
from services.position_manager.service.accounts import Accounts
from services.position_manager.service.ports import Ledger


class StopTrailer:
    """Handler of decision candles.

    Args:
        accounts: The books, as far as they are committed.
        instruments: The symbols' rules.
        interval_s: The decision candles'; others move no stop.
    """

    def __init__(self, *, accounts: Accounts, instruments: Mapping[str, Instrument], interval_s: int) -> None:
        self._accounts = accounts
        self._instruments = instruments
        self._interval_s = interval_s

    async def on_candle(self, envelope: Envelope[CandleClosed], ledger: Ledger) -> Sequence[Event]:
        """Move the stops that a candle's high leads up; one that may lack trades waits for its complete version."""
        candle = envelope.event
        if candle.interval_s != self._interval_s or candle.partial:
            return []
        await ledger.note_high(candle.symbol, candle.close_at, candle.high)
        instrument = self._instruments.get(candle.symbol)
        events = []
        for book in self._accounts.books.values():
            known = book.holdings.get(candle.symbol)
            if instrument is None or known is None or known.opened_at is None or candle.close_at <= known.opened_at:
                continue
            after = trailed(known, candle.high, instrument.price_tick)
            if after is known:
                continue
            await ledger.save_holding(after)
            ledger.after_commit(partial(book.holdings.update, {after.symbol: after}))
            events.append(stop_moved(after, candle.high, at=candle.close_at))
        return events


def stop_moved(holding: Holding, highest: Decimal, *, at: datetime) -> StopMoved:
    """Return the event that has a position's protection moved.

    Raises:
        InvalidMessageError: The position is none that trails.
    """
    if holding.entry_intent_id is None or holding.trailing_stop is None:
        raise InvalidMessageError("stop", expected="a position that trails", found=holding.symbol)
    return StopMoved(
        occurred_at=at,
        account=holding.account,
        symbol=holding.symbol,
        revision=holding.revision,
        entry_intent_id=holding.entry_intent_id,
        stop_loss=holding.trailing_stop,
        highest=highest,
    )
