"""The field types of every event: exact decimals, aware UTC times, whole numbers, symbols.

Values are validated once, here, when a message enters the process. Every type is bounded, so that what was accepted
can be calculated with, stored and written again.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, StringConstraints

SYMBOL_PATTERN = re.compile(r"^[A-Z0-9]{2,12}/[A-Z0-9]{2,12}$")

TIME_MIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
TIME_MAX: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Far enough from the ends of the calendar that adding a duration never leaves it."""

_PLAIN_DECIMAL: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


def _plain(value: Decimal) -> str:
    """Write a decimal without an exponent, so that every reader and the audit hash see one form."""
    return f"{value:f}"


def _exact(value: Any) -> Any:
    """Refuse binary floats, which have lost the digits already, and text that is not written as `_plain` does.

    An exponent of eight digits would be a hundred million zeros when it is written again.
    """
    if isinstance(value, float):
        message = "expected a decimal string, found a binary float"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a validation error
    if isinstance(value, str) and _PLAIN_DECIMAL.fullmatch(value) is None:
        message = "expected digits with at most one point, as in 61234.56"
        raise ValueError(message)
    return value


def utc(value: datetime) -> datetime:
    """Return an aware time in UTC.

    Raises:
        ValueError: It is outside of `TIME_MIN` to `TIME_MAX`.
    """
    if not TIME_MIN <= value < TIME_MAX:
        message = f"expected a time from {TIME_MIN:%Y} to {TIME_MAX:%Y}"
        raise ValueError(message)
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

Price = Annotated[Positive, Field(le=10**11, decimal_places=8)]
"""What the exchange trades at; it counts in 1e-8. The amounts and sums that are made of it stay within `Exact`."""

Quantity = Annotated[Positive, Field(le=10**11, decimal_places=8)]
"""What the exchange trades, likewise."""

Commission = Annotated[NonNegative, Field(le=10**11, decimal_places=10)]
"""What the exchange takes, likewise; a share of a share has more places."""

UtcTime = Annotated[AwareDatetime, AfterValidator(utc)]
"""An aware time, always UTC in memory and on the wire."""

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""How many of something there are; what the database holds in four bytes."""

Revision = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""Which of a thing's states this is; rises by one."""

Number = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""An identifier or sequence that the exchange, Kafka or a process counts; every reader of JSON keeps it exactly."""

Milliseconds = Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)]
"""A difference of times, either way."""

Interval = Annotated[int, Field(gt=0, le=86_400)]
"""The length of a candle in seconds."""

Symbol = Annotated[str, StringConstraints(pattern=SYMBOL_PATTERN.pattern)]
"""A market as people write it: `BTC/USDT`."""

AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
"""The configured name of an exchange account: `main`."""

Name = Annotated[str, StringConstraints(max_length=200)]
"""What something is called: a component, a strategy, an order at the exchange."""

TEXT_CHARACTERS_MAX: Final = 2_000
"""Whoever tells what others have said cuts it to this: an event that cannot be made ends its process."""

Text = Annotated[str, StringConstraints(max_length=TEXT_CHARACTERS_MAX)]
"""Free text for people, bounded."""
