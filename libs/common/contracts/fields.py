"""The field types of every event: exact decimals, aware UTC times, symbols.

Values are validated once, here, when a message enters the process.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, StringConstraints

SYMBOL_PATTERN = re.compile(r"^[A-Z0-9]{2,12}/[A-Z0-9]{2,12}$")


def _plain(value: Decimal) -> str:
    """Write a decimal without an exponent, so that every reader and the audit hash see one form."""
    return f"{value:f}"


def _exact(value: Any) -> Any:
    """Refuse binary floats: they have lost the digits already."""
    if isinstance(value, float):
        message = "expected a decimal string, found a binary float"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a validation error
    return value


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Exact = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(allow_inf_nan=False, max_digits=40, decimal_places=18),
    PlainSerializer(_plain, return_type=str, when_used="json"),
]
"""A finite decimal, a string on the wire: signed (PnL, differences)."""

Positive = Annotated[Exact, Field(gt=0)]
"""A price or a quantity that must exist."""

NonNegative = Annotated[Exact, Field(ge=0)]
"""A quantity, fee or balance that may be zero."""

UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
"""An aware time, always UTC in memory and on the wire."""

Symbol = Annotated[str, StringConstraints(pattern=SYMBOL_PATTERN.pattern)]
"""A market as people write it: `BTC/USDT`."""

AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
"""The configured name of an exchange account: `main`."""

Text = Annotated[str, StringConstraints(max_length=2_000)]
"""Free text for people, bounded."""
