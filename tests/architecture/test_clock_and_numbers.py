"""Time, chance and binary numbers come in where they are named, and nowhere else."""

from pathlib import Path

import pytest

from tests.support.source import calls, modules, named

CLOCK_READERS = {
    "libs/common/clock.py": "the one place",
    "cli/stack/up.py": "waits for a process that is not ours to be asked",
    "libs/embedded/lifecycle.py": "the supervisor times processes by its event loop",
    "libs/embedded/stack.py": "the same",
    "libs/embedded/supervisor.py": "the same",
    "services/paper_exchange/api/connection.py": "bounds a client's connection by its event loop",
}
CLOCKS = {
    "date.today",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "time.localtime",
    "time.gmtime",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.time",
    "time.time_ns",
}
FLOAT_PLACES = {
    "libs/trading/money.py": "prices that indicators computed come back as decimals of the tick",
    "libs/trading/strategies/parameters.py": "parameters of indicators",
}


def _clocks_read_in(path: Path) -> list[str]:
    return [
        f"{named(path)}:{line}: {name}"
        for name, line in calls(path)
        if name in CLOCKS or name.endswith(("loop.time", "loop().time"))
    ]


def test_only_the_clock_reads_the_clock() -> None:
    found = {named(path): places for path in modules("libs", "services", "cli") if (places := _clocks_read_in(path))}

    assert [places for name, places in found.items() if name not in CLOCK_READERS] == []
    assert set(CLOCK_READERS) - set(found) == set(), "an exception that nothing needs any more"


def test_no_sleep_blocks_an_event_loop() -> None:
    blocking = [
        f"{named(path)}:{line}"
        for path in modules("libs", "services")
        for name, line in calls(path)
        if name == "time.sleep"
    ]

    assert blocking == []


@pytest.mark.parametrize("path", modules("libs/trading"), ids=named)
def test_the_core_makes_floats_only_in_named_places(path: Path) -> None:
    made = [line for name, line in calls(path) if name == "float"]

    assert bool(made) == (named(path) in FLOAT_PLACES), made


@pytest.mark.parametrize("path", modules("libs/trading"), ids=named)
def test_the_core_neither_prints_nor_opens_anything(path: Path) -> None:
    assert {name for name, _ in calls(path)} & {"print", "open", "input", "eval", "exec"} == set()
