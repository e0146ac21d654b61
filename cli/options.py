"""The options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path, typer.Option("--data-dir", help="The stack's data directory.", envvar="TRADER_DATA_DIR", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Account = Annotated[str, typer.Option("--account", help="The exchange account.")]
Limit = Annotated[int, typer.Option("--limit", help="How many, newest first; 0 means all.", min=0)]
Symbol = Annotated[str | None, typer.Option("--symbol", help="Only this market, e.g. BTC/USDT.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Only what is newer: an ISO 8601 time, or an age such as 30s, 10m, 2h, 1d."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit log.")]

DEFAULT_DATA_DIR = Path(".data")
