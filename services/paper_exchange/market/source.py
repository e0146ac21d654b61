"""The market that the settings ask for.

Invariant: the same settings give the same recorded or generated market; the live one is what it is.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Final

from libs.common.clock import Clock
from services.paper_exchange.market.binance import Source, Tell, live_market
from services.paper_exchange.market.generated import generated_tape
from services.paper_exchange.market.recording import load_recording
from services.paper_exchange.market.reel import Reel
from services.paper_exchange.market.scenario import Scenario, load_scenario
from services.paper_exchange.market.tape import Market, Tape
from services.paper_exchange.settings import PaperExchangeSettings

LIVE: Final = "binance"
_RECORDINGS = Path(__file__).parent / "recordings"


@asynccontextmanager
async def open_market(settings: PaperExchangeSettings, clock: Clock, tell: Tell) -> AsyncIterator[Market]:
    """Keep the market that the settings ask for.

    Raises:
        ConfigurationError: The scenario is wrong.
        RetryableError: The live market cannot be reached.
    """
    if settings.market != LIVE:
        symbols, seed = settings.symbols, settings.seed
        yield open_tape(settings.market, symbols, seed=seed, scenario_file=settings.scenario_file)
        return
    source = Source(settings.binance_rest_url, settings.binance_ws_url, float(settings.binance_silence_s))
    async with live_market(source, settings.symbols, clock=clock, random=SystemRandom(), tell=tell) as market:
        yield market


def recorded_tape(symbols: Sequence[str]) -> Tape:
    """Return the shipped recordings, looped for ever."""
    recordings = [load_recording(_RECORDINGS / f"{symbol}.recording") for symbol in symbols]
    return Tape.of(Reel(recordings), identity=f"recorded 2024-08-08 {','.join(symbols)}")


def open_tape(market: str, symbols: Sequence[str], *, seed: int, scenario_file: Path | None) -> Tape:
    """Return the recorded or generated market."""
    if market == "recorded":
        return recorded_tape(symbols)
    scenario = Scenario() if scenario_file is None else load_scenario(scenario_file)
    return generated_tape(symbols, seed=seed, scenario=scenario)
