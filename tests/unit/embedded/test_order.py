import asyncio

import pytest

from libs.embedded.order import reversed_order, run_in_order

ORDER = {"service": ("migrations", "kafka"), "migrations": ("postgres",), "kafka": (), "postgres": ()}


async def test_each_comes_after_all_that_it_depends_on() -> None:
    seen: list[str] = []

    async def act(name: str) -> None:
        await asyncio.sleep(0)
        seen.append(name)

    await run_in_order(ORDER, act)

    assert set(seen[:2]) == {"kafka", "postgres"}
    assert seen[2:] == ["migrations", "service"]


async def test_what_depends_on_nothing_runs_at_the_same_time() -> None:
    both = asyncio.Barrier(2)

    async def act(_name: str) -> None:
        await asyncio.wait_for(both.wait(), 1)

    await run_in_order({"kafka": (), "postgres": ()}, act)


async def test_the_first_failure_is_raised_as_it_is_and_cancels_the_rest() -> None:
    cancelled = []

    async def act(name: str) -> None:
        if name == "postgres":
            raise ConnectionError("postgres")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(name)
            raise

    with pytest.raises(ConnectionError, match="postgres"):
        await run_in_order(ORDER, act)
    assert cancelled == ["kafka"]


def test_stopping_turns_the_order_round() -> None:
    assert reversed_order(ORDER) == {
        "service": set(),
        "migrations": {"service"},
        "kafka": {"service"},
        "postgres": {"migrations"},
    }


@pytest.mark.parametrize(
    ("dependencies", "message"),
    [
        ({"a": ("b",), "b": ("a",)}, "circle"),
        ({"service": ("kafak",), "kafka": ()}, "service depends on 'kafak'; expected one of kafka, service"),
    ],
)
async def test_an_impossible_order_is_refused(dependencies: dict[str, tuple[str, ...]], message: str) -> None:
    async def act(_name: str) -> None:
        raise AssertionError("nothing may be started")

    with pytest.raises(ValueError, match=message):
        await run_in_order(dependencies, act)
