"""A market made from a seed: a price that wanders around where it began, its quotes and its trades.

Invariant: the same seed, symbols and scenario give the same events at the same market times, on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import pi, sin
from random import Random

from libs.trading.matching import Quote, Side
from services.paper_exchange.market.recording import Recording
from services.paper_exchange.market.reel import Reel
from services.paper_exchange.market.scenario import Scenario
from services.paper_exchange.market.tape import BEGINNING, Halt, Splice, Tape

LENGTH_MS = 600_000
_MS = 1_000
_QUOTE_EVERY_MS = 40
_TRADES_PER_QUOTE = 0.35
_WAVE_RATE = 0.0012
_WAVES_S = (17.0, 41.0, 97.0, 240.0, 600.0)
_NOISE_RATE = 0.00002
_NOISE_MEMORY = 0.995
_WIDE_SHARE = 0.05
_SPREAD_MAX = 20
_SELLERS_SHARE = 0.5
_QUOTE_TO_TRADE = 10


@dataclass(frozen=True, slots=True)
class _Character:
    """What a symbol's generated market looks like: first price and typical quantity."""

    price_tick: str
    lot_step: str
    ticks: int
    lots: int


_CHARACTERS = {
    "BTCUSDT": _Character("0.01", "0.00001", 6_000_000, 30_000),
    "ETHUSDT": _Character("0.01", "0.0001", 260_000, 60_000),
}


def generated_tape(symbols: Sequence[str], *, seed: int, scenario: Scenario) -> Tape:
    """Return the market of a seed, with what the scenario wants to happen after its start."""
    plain = [_generate(symbol, seed) for symbol in symbols]
    identity = f"generated seed {seed} {','.join(symbols)}"
    splices = [Splice(BEGINNING, 0, Reel(plain))]
    if scenario.length_ms:
        identity += f" scenario {scenario.model_dump_json()}"
        # The disturbed stretch is a reel of its own, long enough never to be looped; after it the plain one goes on,
        # scaled to where prices have come to rest.
        length_ms = (scenario.length_ms // LENGTH_MS + 1) * LENGTH_MS
        disturbed = [_disturb(recording, scenario, length_ms) for recording in plain]
        settled = [_scale(recording, scenario.factor_at(scenario.length_ms)) for recording in plain]
        splices += [Splice(-1, 0, Reel(disturbed)), Splice(scenario.length_ms, 0, Reel(settled))]
    halts = [Halt(int(halt.at_s * _MS), int((halt.at_s + halt.for_s) * _MS)) for halt in scenario.halts]
    return Tape(splices, identity=identity, halts=halts)


class _Draft:
    """A recording in the making: quotes and trades in the order of their times."""

    def __init__(self) -> None:
        self._quotes: list[tuple[int, Quote]] = []
        self._trades: list[tuple[int, int, int, int, bool]] = []

    def add_quote(self, at_ms: int, quote: Quote) -> None:
        self._quotes.append((at_ms, quote))

    def add_trade(self, at_ms: int, price: int, lots: int, *, buyer_is_maker: bool) -> None:
        self._trades.append((at_ms, len(self._quotes), price, lots, buyer_is_maker))

    def finish(self, symbol: str, *, length_ms: int, source: str) -> Recording:
        character = _CHARACTERS[symbol]
        quotes, trades = self._quotes, self._trades
        return Recording(
            symbol=symbol,
            price_tick=character.price_tick,
            lot_step=character.lot_step,
            length_ms=length_ms,
            source=source,
            quote_times=[at_ms for at_ms, _ in quotes],
            bids=[quote.bid for _, quote in quotes],
            asks=[quote.ask for _, quote in quotes],
            bid_lots=[quote.bid_lots for _, quote in quotes],
            ask_lots=[quote.ask_lots for _, quote in quotes],
            trade_times=[trade[0] for trade in trades],
            quotes_before=[trade[1] for trade in trades],
            prices=[trade[2] for trade in trades],
            lots=[trade[3] for trade in trades],
            buyer_is_maker=[trade[4] for trade in trades],
        )


def _generate(symbol: str, seed: int) -> Recording:
    character = _CHARACTERS[symbol]
    random = Random(f"{seed} {symbol}")  # noqa: S311 - a simulation wants reproducible numbers, not secrets
    phases = [random.random() * 2 * pi for _ in _WAVES_S]
    draft = _Draft()
    noise = 0.0
    for at_ms in range(0, LENGTH_MS, _QUOTE_EVERY_MS):
        noise = _NOISE_MEMORY * noise + random.gauss(0.0, _NOISE_RATE)
        waves = sum(
            (period_s / _WAVES_S[-1]) ** 0.5 * (sin(2 * pi * at_ms / _MS / period_s + phase) - sin(phase))
            for period_s, phase in zip(_WAVES_S, phases, strict=True)
        )
        bid = round(character.ticks * (1 + _WAVE_RATE * waves + noise))
        spread = random.randrange(2, _SPREAD_MAX) if random.random() < _WIDE_SHARE else 1
        bid_lots, ask_lots = (1 + int(random.expovariate(1 / character.lots)) for _ in Side)
        draft.add_quote(at_ms, Quote(bid, bid_lots, bid + spread, ask_lots))
        if random.random() < _TRADES_PER_QUOTE:
            buyer_is_maker = random.random() < _SELLERS_SHARE
            draft.add_trade(
                at_ms + random.randrange(_QUOTE_EVERY_MS),
                bid if buyer_is_maker else bid + spread,
                1 + int(random.expovariate(_QUOTE_TO_TRADE / character.lots)),
                buyer_is_maker=buyer_is_maker,
            )
    return draft.finish(symbol, length_ms=LENGTH_MS, source=f"generated from seed {seed}")


def _disturb(recording: Recording, scenario: Scenario, length_ms: int) -> Recording:
    """Return `length_ms` of the recording's loops, with what the scenario wants to happen."""
    reel = Reel([recording])
    track = reel.tracks[recording.symbol]
    draft = _Draft()
    for event in reel.events(-1, length_ms - 1):
        if scenario.is_quiet(event.at_ms):
            continue
        factor = scenario.factor_at(event.at_ms)
        if event.quote is not None:
            draft.add_quote(event.at_ms, _moved(event.quote, factor))
            continue
        trade, in_force = track.trade(event.ordinal), track.quote_at(event.at_ms)
        # A trade keeps its distance from the bid in force, so that prices and quotes move together.
        price = _moved(in_force, factor).bid + trade.price - in_force.bid
        draft.add_trade(event.at_ms, price, trade.lots, buyer_is_maker=trade.buyer_is_maker)
    return draft.finish(recording.symbol, length_ms=length_ms, source=recording.source)


def _scale(recording: Recording, factor: Decimal) -> Recording:
    """Return the recording with all prices multiplied, spreads as they were."""
    bids = [round(bid * factor) for bid in recording.bids]
    moves = [new - old for new, old in zip(bids, recording.bids, strict=True)]
    trade_moves = [moves[max(0, before - 1)] for before in recording.quotes_before]
    return replace(
        recording,
        bids=bids,
        asks=[ask + move for ask, move in zip(recording.asks, moves, strict=True)],
        prices=[price + move for price, move in zip(recording.prices, trade_moves, strict=True)],
    )


def _moved(quote: Quote, factor: Decimal) -> Quote:
    bid = round(quote.bid * factor)
    return Quote(bid, quote.bid_lots, bid + quote.ask - quote.bid, quote.ask_lots)
