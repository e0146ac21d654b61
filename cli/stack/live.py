"""The view in a terminal: processes, trading state, prices and the last fills, redrawn every second."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.output import text_of
from cli.stack.composition import Composition
from cli.stack.plain import PlainView
from cli.status import read_recent, read_status
from libs.common.errors import RetryableError
from libs.common.storage.postgres import Database
from libs.embedded.process import ProcessState, ProcessStatus
from libs.embedded.stack import Stack

REDRAW_INTERVAL_S = 1.0
FILLS_SHOWN_MAX = 8
CURSOR_LINES = 1
STATE_STYLES = {"ACTIVE": "bold green", "REDUCING": "bold yellow", "HALTED": "bold red"}


class LiveView(PlainView):
    """Plain lines until everything is ready, then a screen that is kept up to date."""

    async def follow(self, stack: Stack, composition: Composition) -> None:
        """Redraw every second."""
        endpoints, accounts = composition.endpoints(), composition.configuration.exchange.accounts
        database = await Database.connect(endpoints["postgres"], application="trader", connections_max=1)
        try:
            console = Console(stderr=True)
            with Live(console=console, refresh_per_second=2, transient=False) as live:
                while True:
                    processes = stack.snapshot()
                    try:
                        statuses = {
                            account: await read_status(database, account=account, processes=processes)
                            for account in accounts
                        }
                        fills = await read_recent(database, accounts=accounts, limit=FILLS_SHOWN_MAX)
                        live.update(screen(console, statuses, processes, fills, endpoints["exchange_rest"]))
                    except RetryableError as error:
                        live.update(Group(Text(f"The database does not answer: {error}"), _processes(processes)))
                    await asyncio.sleep(REDRAW_INTERVAL_S)
        finally:
            await database.close()


def screen(
    console: Console,
    statuses: Mapping[str, dict[str, Any]],
    processes: tuple[ProcessStatus, ...],
    fills: list[dict[str, Any]],
    exchange: str,
) -> Group:
    """Return what fits the terminal: what is taller would be cut at its end, where the way out stands.

    Fewer fills make room first, then the processes that are ready.
    """
    top = Text("\n").join(
        headline(status, width=console.width, account=account if len(statuses) > 1 else "")
        for account, status in statuses.items()
    )
    bottom = _footer(exchange)
    left = console.height - CURSOR_LINES - _height(console, top) - _height(console, bottom)
    table = _processes(processes)
    while processes and _height(console, table) > left:
        ready = [index for index, process in enumerate(processes) if process.state is ProcessState.READY]
        spared = ready[-1] if ready else len(processes) - 1
        processes = processes[:spared] + processes[spared + 1 :]
        table = _processes(processes)
    left -= _height(console, table)
    shown = fills
    while shown and _height(console, _fills(shown)) > left:
        shown = shown[:-1]
    return Group(top, table, *([_fills(shown)] if shown or _height(console, _fills([])) <= left else []), bottom)


def _height(console: Console, part: Text | Table) -> int:
    return len(console.render_lines(part, pad=False))


def headline(status: dict[str, Any], *, width: int | None = None, account: str = "") -> Text:
    """Return the status, the trading state coloured.

    Args:
        status: The documented object of `trader status --json`.
        width: A reason longer than this is cut; None: it is not.
        account: Whose it is; empty: there is one only.
    """
    text = Text(f" {account}" if account else "")
    text.append(f" {status['trading_state']} ", STATE_STYLES.get(status["trading_state"], "bold"))
    text.append(
        f"  {status['mode']}  equity {_money(status['equity'])}  PnL today {_money(status['pnl_today'])}"
        f"  positions {status['positions_open']}  orders {status['orders_open']}  trades {status['trades_today']}"
    )
    feeds = "  ".join(f"{feed['symbol']} {feed['age_ms']} ms" for feed in status["feeds"])
    text.append(f"\n data age: {feeds}" if feeds else "")
    if status["reason"]:
        reason = Text(f" {' '.join(status['reason'].split())}")
        if width is not None:
            reason.truncate(width, overflow="ellipsis")
        text.append("\n").append_text(reason)
    return text


def _money(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:.2f}"


def _processes(processes: tuple[ProcessStatus, ...]) -> Table:
    table = Table(box=None, padding=(0, 1))
    for column in ("process", "state", "pid", "restarts", "memory MB"):
        table.add_column(column, justify="left" if column in {"process", "state"} else "right")
    for process in processes:
        style = "green" if process.state is ProcessState.READY else "yellow"
        table.add_row(
            process.name,
            Text(process.state.value, style),
            str(process.pid or ""),
            str(process.restarts),
            f"{process.rss_mb:.0f}",
        )
    return table


def _fills(fills: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 1), title="last fills", title_justify="left")
    for column in ("at", "symbol", "side", "quantity", "price"):
        table.add_column(column, justify="right" if column in {"quantity", "price"} else "left")
    for fill in fills:
        table.add_row(*(text_of(fill[column]) for column in ("at", "symbol", "side", "quantity", "price")))
    return table


def _footer(exchange: str) -> Text:
    return Text(f"exchange {exchange}   Ctrl-C stops everything, `trader halt` stops trading", "dim")
