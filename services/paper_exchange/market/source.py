"""The market that the settings ask for.

Invariant: the same settings give the same tape.
"""

from collections.abc import Sequence
from pathlib import Path

from services.paper_exchange.market.generated import generated_tape
from services.paper_exchange.market.recording import load_recording
from services.paper_exchange.market.reel import Reel
from services.paper_exchange.market.scenario import Scenario, load_scenario
from services.paper_exchange.market.tape import Tape

_RECORDINGS = Path(__file__).parent / "recordings"


def recorded_tape(symbols: Sequence[str]) -> Tape:
    """Return the shipped recordings, looped for ever."""
    recordings = [load_recording(_RECORDINGS / f"{symbol}.recording") for symbol in symbols]
    return Tape.of(Reel(recordings), identity=f"recorded 2024-08-08 {','.join(symbols)}")


def open_tape(market: str, symbols: Sequence[str], *, seed: int, scenario_file: Path | None) -> Tape:
    """Return the market of this name."""
    if market == "recorded":
        return recorded_tape(symbols)
    scenario = Scenario() if scenario_file is None else load_scenario(scenario_file)
    return generated_tape(symbols, seed=seed, scenario=scenario)
