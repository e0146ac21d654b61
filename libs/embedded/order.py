"""Do things in the order of their dependencies, as many at a time as the order allows."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from graphlib import CycleError, TopologicalSorter

Dependencies = Mapping[str, Collection[str]]


async def run_in_order(dependencies: Dependencies, act: Callable[[str], Awaitable[None]]) -> None:
    """Await `act(name)` for every name as soon as it has returned for all that the name depends on.

    The first failure cancels whatever runs and is raised as it is.

    Args:
        dependencies: For each name the names that come before it.
        act: What to do with one name.

    Raises:
        ValueError: A dependency is unknown, or they form a circle.
    """
    check_order(dependencies)
    done = {name: asyncio.Event() for name in dependencies}

    async def act_in_turn(name: str) -> None:
        for before in dependencies[name]:
            await done[before].wait()
        await act(name)
        done[name].set()

    try:
        async with asyncio.TaskGroup() as group:
            for name in dependencies:
                group.create_task(act_in_turn(name), name=name)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def check_order(dependencies: Dependencies) -> None:
    """Refuse dependencies that cannot be put into an order.

    Raises:
        ValueError: A dependency is unknown, or they form a circle.
    """
    for name, before in dependencies.items():
        for unknown in set(before) - set(dependencies):
            raise ValueError(f"{name} depends on {unknown!r}; expected one of {', '.join(sorted(dependencies))}")
    try:
        TopologicalSorter(dependencies).prepare()
    except CycleError as error:
        raise ValueError(f"expected an order, found a circle: {' -> '.join(error.args[1])}") from None


def reversed_order(dependencies: Dependencies) -> dict[str, set[str]]:
    """Return the dependencies for stopping: each name after those that depend on it."""
    dependants: dict[str, set[str]] = {name: set() for name in dependencies}
    for name, before in dependencies.items():
        for other in before:
            dependants[other].add(name)
    return dependants
