"""Seeded stories of the whole money path: whatever happens, the books agree with the exchange, and trading goes on.

`make simulate SEEDS=10000` tells more of them; `make simulate SEED=n` tells one again, with everything that happened.
"""

import os

import pytest

from tests.simulation.plan import CALM
from tests.simulation.world import simulate

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "200"))

pytestmark = pytest.mark.sweep


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_the_invariants_hold_in_every_story(seed: int):
    outcome = simulate(seed)

    assert not outcome.findings, outcome.told


def test_the_same_seed_is_the_same_story():
    first, second = simulate(3), simulate(3)

    assert first.history == second.history
    assert first.counts == second.counts


def test_a_calm_story_trades_and_nothing_fails():
    outcome = simulate(1, CALM)

    assert not outcome.findings, outcome.told
    assert outcome.counts["entries"] >= 3
    assert not outcome.counts["kills"]
    assert not outcome.counts["ends"]
