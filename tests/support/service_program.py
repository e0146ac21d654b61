"""A service that does as its first argument says: `python -m tests.support.service_program BEHAVIOUR`."""

import asyncio
import sys
from collections.abc import Awaitable

from libs.common.errors import ConfigurationError
from libs.common.runtime import Runtime, run_service
from libs.common.settings import ServiceSettings

BEHAVIOUR = sys.argv[1]


async def _yes() -> bool:
    return True


async def serve(runtime: Runtime[ServiceSettings]) -> None:
    """Behave."""
    runtime.health.check("wired", _yes)
    match BEHAVIOUR:
        case "runs":
            await asyncio.Event().wait()
        case "crashes":
            raise KeyError("a bug near redis://:canary-5e7f@host/0")
        case "ends":
            return
        case "lacks a secret":
            runtime.settings.secret("postgres-nobody")
        case "lacks a key in a task":
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_lack())
        case "loses its checks":
            runtime.health.check("broken", _not_even_a_coroutine)
            await asyncio.Event().wait()
        case "does not stop":
            await _stubborn()


async def _lack() -> None:
    raise ConfigurationError(where="operators.json", expected="a key", found="none")


async def _stubborn() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


def _not_even_a_coroutine() -> Awaitable[bool]:
    raise KeyError("a bug in a check")


if __name__ == "__main__":
    run_service("test_service", ServiceSettings, serve)
