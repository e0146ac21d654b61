"""A table in a terminal: what identifies a row is never cut.

Invariant: every character of a shown column is printed; where there is no room, columns of little use are left out.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.output import text_of

LEFT_OUT_FIRST: Final = (
    *("exchange_order_id", "account", "metrics_url", "trade_id", "commission_asset", "executed_at", "execution_price"),
    *("confidence_score", "strategy", "filled_quantity", "commission", "type", "role", "component", "take_profit"),
    *("stop_loss", "quality_score", "turnover", "equity_low", "equity_high", "equity_start"),
)
"""What a row can be understood without, the least useful first."""

IDENTIFIERS: Final = frozenset({"client_order_id", "command_id", "halt_id", "signal_id", "order"})
"""The only columns that may be folded over several lines when even the rest has no room."""

IDENTIFIER_WIDTH_MIN: Final = 12
BORDER, BORDERS = 3, 1
"""Width of each column's border with its padding, and of what is left of the table's own."""


def print_table(name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], console: Console) -> None:
    """Print a table as wide as the console at most."""
    texts = {column: [text_of(row[column]) for row in rows] for column in columns}
    widths = {column: _width_min(column, texts[column]) for column in columns}
    empty = [column for column in columns if not any(texts[column])]
    left_out = [*empty, *(column for column in LEFT_OUT_FIRST if column in widths and column not in empty)]
    shown, missing = list(columns), []
    while left_out and _width(shown, widths) > console.width:
        missing.append(left_out.pop(0))
        shown.remove(missing[-1])
    folded = _width(shown, widths) > console.width
    if folded:
        widths = {
            column: min(width, IDENTIFIER_WIDTH_MIN) if column in IDENTIFIERS else width
            for column, width in widths.items()
        }
    cramped = _width(shown, widths) > console.width
    caption = f"left out for want of room: {', '.join(missing)}; --json has all" if missing else None
    table = Table(title=name, title_justify="left", caption=caption, caption_justify="left")
    for column in shown:
        value = rows[0][column]
        numeric = isinstance(value, (Decimal, int, float)) and not isinstance(value, bool)
        one_word = not any(" " in text for text in texts[column])
        table.add_column(
            column,
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=one_word and not cramped and not (folded and column in IDENTIFIERS),
        )
    for index in range(len(rows)):
        table.add_row(*(Text(texts[column][index]) for column in shown))
    console.print(table)


def _width(columns: Sequence[str], widths: Mapping[str, int]) -> int:
    return sum(widths[column] + BORDER for column in columns) + BORDERS


def _width_min(column: str, texts: Sequence[str]) -> int:
    """Return the width of the longest word: text may be wrapped between words, and no further."""
    return max(cell_len(word) for text in (column, *texts) for word in text.split() or [""])
