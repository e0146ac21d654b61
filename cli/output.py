"""What a command prints: one JSON object, a table for people, or plain text in a pipe; all talk goes to stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import typer


def emit_json(content: Mapping[str, Any]) -> None:
    """Print one object on one line: decimals as strings, times in ISO 8601."""
    sys.stdout.write(json.dumps(content, default=_plain, ensure_ascii=False) + "\n")


def emit_rows(
    name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str = ""
) -> None:
    """Print a listing.

    Args:
        name: The key of the JSON object, and the table's title.
        rows: What to list; every row has at least the columns.
        columns: What to show, in this order.
        as_json: One object with every column in place of a table.
        empty: What to tell a person when there is nothing.
    """
    shown = [{column: row[column] for column in columns} for row in rows]
    if as_json:
        emit_json({name: shown})
    elif sys.stdout.isatty():
        _print_table(name, shown, columns, empty)
    else:
        sys.stdout.write("\t".join(columns) + "\n")
        for row in shown:
            sys.stdout.write("\t".join(text_of(row[column]) for column in columns) + "\n")


def emit_pairs(content: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing's properties: a line each."""
    if as_json:
        emit_json(content)
        return
    width = max((len(name) for name in content), default=0)
    for name, value in content.items():
        text = (
            json.dumps(value, default=_plain, ensure_ascii=False) if isinstance(value, (dict, list)) else text_of(value)
        )
        sys.stdout.write(f"{name:<{width}}  {text}\n")


def tell(text: str) -> None:
    """Say something to the person: progress, notes, warnings."""
    typer.echo(text, err=True)


def text_of(value: Any) -> str:
    """Return a value as people read it: no exponents, times in UTC to the second, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _print_table(name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - 60 ms that scripts and pipes need not pay

    from cli.table import print_table  # noqa: PLC0415

    if not rows:
        tell(empty or f"No {name}.")
        return
    print_table(name, rows, columns, Console())


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return str(value)
