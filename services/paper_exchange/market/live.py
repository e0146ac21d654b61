"""A market that happens now, somewhere else: it is read as it arrives, and what was before is asked for.

Invariant: what arrives takes place after everything that was shown, in the order of its arrival; nothing is shown
twice. While any symbol is silent, trading is suspended: prices are never taken from a market that is not seen.
"""

from collections import deque
from collections.abc import Iterator, Mapping

from libs.common.clock import Clock, epoch_ms
from libs.trading.matching import Quote
from services.paper_exchange.market.live_track import LiveTrack
from services.paper_exchange.market.reel import Print, TapeEvent
from services.paper_exchange.market.summary import Summary

EVENTS_WAITING_MAX = 100_000
"""Minutes of a busy market; the exchange looks every few milliseconds."""


class LiveMarket:
    """A market as far as it has arrived.

    Args:
        tracks: What is known of each symbol at the start.
        identity: Names the market, so that a journal is never continued on another one.
        clock: Says when something arrives.
        silence_s_max: A symbol of which nothing arrived for longer is silent.
    """

    def __init__(self, tracks: Mapping[str, LiveTrack], *, identity: str, clock: Clock, silence_s_max: float) -> None:
        self._tracks = dict(tracks)
        self._clock = clock
        self._silence_s_max = silence_s_max
        self._heard_at_s = dict.fromkeys(self._tracks, clock.monotonic_s())
        self._waiting: deque[TapeEvent] = deque(maxlen=EVENTS_WAITING_MAX)
        self._shown_ms = 0
        self._newest_ms = 0
        self.identity = identity
        self.symbols = tuple(self._tracks)

    def place_at_start(self, place_ms: int, now_ms: int) -> int:  # noqa: ARG002 - what a recorded market needs
        """Return where the market goes on: at the present, whatever was missed."""
        return now_ms

    def is_halted(self, at_ms: int) -> bool:  # noqa: ARG002 - silence is seen now or never
        """Return whether trading is suspended."""
        return self.is_silent

    @property
    def is_silent(self) -> bool:
        """Whether nothing arrived of a symbol for too long."""
        now_s = self._clock.monotonic_s()
        return any(now_s - heard_at_s > self._silence_s_max for heard_at_s in self._heard_at_s.values())

    def quote_at(self, symbol: str, at_ms: int) -> Quote:  # noqa: ARG002 - quotes of the past are not kept
        """Return the latest best bid and ask."""
        return self._tracks[symbol].quote

    def count_until(self, symbol: str, at_ms: int) -> int:
        """Return the ordinal of the first trade after `at_ms`."""
        return self._tracks[symbol].count_until(at_ms)

    def trade(self, symbol: str, ordinal: int) -> Print:
        """Return the trade with this ordinal."""
        return self._tracks[symbol].trade(ordinal)

    def summary(self, symbol: str, first: int, last: int) -> Summary | None:
        """Summarise the trades with ordinals from `first` up to, not including, `last`; `None` if there are none."""
        return self._tracks[symbol].summary(first, last)

    def events(self, after_ms: int, until_ms: int) -> Iterator[TapeEvent]:
        """Yield what arrived after `after_ms` up to and including `until_ms`, in order."""
        self._shown_ms = max(self._shown_ms, after_ms)
        while self._waiting and self._waiting[0].at_ms <= after_ms:
            self._waiting.popleft()
        for event in tuple(self._waiting):
            if event.at_ms > until_ms:
                return
            yield event

    def next_id(self, symbol: str) -> int:
        """Return the id that the symbol's next trade has."""
        return self._tracks[symbol].next_id

    def renew(self, symbol: str, track: LiveTrack, missed: list[Print]) -> None:
        """Go on after a gap with what was asked for anew; `missed` are the trades that were never shown."""
        self._tracks[symbol] = track
        # Ids go on where they were, unless somebody else answers there now.
        self._waiting = deque(
            (event for event in self._waiting if event.symbol != symbol or event.ordinal < track.next_id),
            maxlen=EVENTS_WAITING_MAX,
        )
        for trade in missed:
            self.add_trade(symbol, price=trade.price, lots=trade.lots, buyer_is_maker=trade.buyer_is_maker)
        self.add_quote(symbol, track.quote)

    def add_trade(self, symbol: str, *, price: int, lots: int, buyer_is_maker: bool) -> None:
        """Take a trade that has arrived; its id is the next one."""
        track = self._tracks[symbol]
        at_ms = self._arrival_ms(symbol)
        self._waiting.append(TapeEvent(at_ms, symbol, None, track.next_id))
        track.add(Print(at_ms, price, lots, buyer_is_maker))

    def add_quote(self, symbol: str, quote: Quote) -> None:
        """Take a quote that has arrived."""
        self._tracks[symbol].quote = quote
        self._waiting.append(TapeEvent(self._arrival_ms(symbol), symbol, quote, 0))

    def _arrival_ms(self, symbol: str) -> int:
        self._heard_at_s[symbol] = self._clock.monotonic_s()
        # Just after what is shown already, and never before what arrived earlier, whatever the clock does.
        self._newest_ms = max(epoch_ms(self._clock.now()) + 1, self._shown_ms + 1, self._newest_ms)
        return self._newest_ms
