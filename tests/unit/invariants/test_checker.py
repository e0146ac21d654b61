"""A violation is what persists: a running system is looked at until it agrees, three times at most."""

from collections.abc import Awaitable, Callable, Sequence

from libs.invariants import Books, Report, Truth, check_invariants
from libs.invariants.checker import Offsets
from tests.unit.invariants.history import a_fill_row, a_truth, books


class FakeJournal:
    def read(self) -> Truth:
        return a_truth()


class FakeTables:
    """Gives one snapshot after another; the last one stays."""

    def __init__(self, snapshots: Sequence[Books]) -> None:
        self._snapshots = list(snapshots)
        self.looks = 0

    async def __call__(self) -> Books:
        self.looks += 1
        return self._snapshots.pop(0) if len(self._snapshots) > 1 else self._snapshots[0]


class Pauses:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def check(tables: FakeTables, pauses: Pauses, ends: Callable[[], Awaitable[Offsets]] | None = None) -> Report:
    return await check_invariants(FakeJournal(), tables, symbols=["BTC/USDT"], pause=pauses, ends=ends)


async def test_a_system_in_agreement_is_looked_at_once():
    tables, pauses = FakeTables([books()]), Pauses()

    report = await check(tables, pauses)

    assert (report.violations, tables.looks, pauses.seconds) == ([], 1, [2.0])
    assert report.checked["fill_is_booked_once"] == 2  # found once, and the same


async def test_what_settles_by_itself_is_no_violation():
    tables, pauses = FakeTables([books(fills=[]), books()]), Pauses()

    report = await check(tables, pauses)

    assert (report.violations, pauses.seconds) == ([], [2.0, 4.0])


async def test_different_differences_are_each_under_way():
    late = [books(fills=[]), books(booked_fills=[])]

    assert (await check(FakeTables(late), Pauses())).violations == []


async def test_what_persists_is_reported_in_the_documented_form():
    tables, pauses = FakeTables([books(fills=[a_fill_row(trade_id=12), a_fill_row()], executor_balances=[])]), Pauses()

    report = await check(tables, pauses)

    assert tables.looks == 3
    assert report.as_json()["violations"] == [
        {
            "invariant": "fill_exists_at_exchange",
            "order": "main BTCUSDT trade 12 order 1",
            "expected": "an execution",
            "found": "none at the exchange",
        }
    ]


async def test_offsets_of_kafka_are_compared_where_they_are_given():
    async def ends():
        return {("fills", 0): 5}

    report = await check(FakeTables([books()]), Pauses(), ends)

    assert [violation.order for violation in report.violations] == ["fills/0"]
