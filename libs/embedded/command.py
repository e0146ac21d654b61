"""Run a program as a child that cannot outlive this process."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from libs.embedded import launch
from libs.embedded.errors import EXIT_TIMED_OUT, EmbeddedError


def launched(command: tuple[str, ...], *, identity: str = launch.SELF) -> tuple[str, ...]:
    """Return the command line that becomes `command` as a child that cannot outlive this process."""
    # -I -S: neither the user's settings nor site-packages; 20 ms instead of 80.
    return (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), identity, *command)


async def run_to_end(
    command: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    working_directory: Path,
    deadline_s: float,
    identity: str = launch.SELF,
    text: str = "",
) -> str:
    """Run a program that ends by itself and return what it wrote.

    Args:
        command: The program and its arguments.
        environment: Its whole environment.
        working_directory: Where it runs.
        deadline_s: How long it may take.
        identity: The account it runs as, one of `libs.embedded.launch`.
        text: What it reads on standard input.

    Raises:
        EmbeddedError: It failed, or did not end in time; it is gone in either case.
    """
    process = await asyncio.create_subprocess_exec(
        *launched(command, identity=identity),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=working_directory,
        start_new_session=True,
    )
    name = Path(command[0]).name
    try:
        async with asyncio.timeout(deadline_s):
            written, _ = await process.communicate(text.encode())
    except TimeoutError:
        raise EmbeddedError(
            f"{name}: expected it to end within {deadline_s:g} s, found it still running",
            hint="The machine may be overloaded: try again.",
            exit_status=EXIT_TIMED_OUT,
        ) from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    output = written.decode("utf-8", errors="replace")
    if process.returncode != 0:
        raise EmbeddedError(f"{name}: expected exit status 0, found {process.returncode}", hint=output.strip()[-2_000:])
    return output
