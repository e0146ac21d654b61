"""`trader watch`: the status, again every second."""

import asyncio
import sys
from typing import TYPE_CHECKING

from cli.options import DEFAULT_DATA_DIR, Account, AsJson, DataDir
from cli.output import emit_json, tell
from cli.place import find_place, run
from libs.common.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cli.place import Place

INTERVAL_S = 1.0


def watch(data_dir: DataDir = DEFAULT_DATA_DIR, account: Account = "main", as_json: AsJson = False) -> None:
    """Show the status every second until Ctrl-C: redrawn in a terminal, a line each in a pipe."""
    place = find_place(data_dir)
    if as_json or not sys.stdout.isatty():
        run(_follow(place, account, emit_json if as_json else _print_line))
        return
    from rich.live import Live  # noqa: PLC0415 - 60 ms that scripts and pipes need not pay

    from cli.stack.live import headline  # noqa: PLC0415

    with Live(refresh_per_second=2) as live:
        run(_follow(place, account, lambda status: live.update(headline(status))))


async def _follow(place: "Place", account: str, show: "Callable[[dict[str, Any]], None]") -> None:
    from cli.status import status_reader  # noqa: PLC0415 - the clients of the stores

    async with status_reader(place, account) as read:
        while True:
            try:
                show(await read())
            except RetryableError as error:  # a store restarts: the next look may find it
                tell(f"warning: {error}")
            sys.stdout.flush()
            await asyncio.sleep(INTERVAL_S)


def _print_line(status: "dict[str, Any]") -> None:
    from cli.status import status_line  # noqa: PLC0415

    sys.stdout.write(f"{status_line(status)}\n")
