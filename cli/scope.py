"""Whether a value that a person typed can be meant: a market, an account, a strategy of the running stack.

Invariant: only the stack's configuration file is read. A halt is checked and sent while every store is down, and
where the file cannot be read, the form of the value is all that is checked: that must never prevent a halt.
"""

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from cli.errors import CommandError, ExitStatus
from cli.place import Place
from libs.common.errors import ConfigurationError

if TYPE_CHECKING:
    from libs.common.configuration import TradingConfiguration

ACCOUNT_PATTERN: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
STRATEGY_PATTERN: Final = re.compile(r".{1,60}")
SYMBOL_PATTERN: Final = re.compile(r"[A-Z0-9]{2,12}/[A-Z0-9]{2,12}")
NEAR_ENOUGH: Final = 0.6
REASON_LENGTH_MAX: Final = 2_000
"""What an event can carry."""


def check_scope(
    place: Place,
    *,
    account: str | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    consequence: str = "",
) -> None:
    """Check what a command is narrowed to.

    Args:
        place: The running stack.
        account: The value of --account; None: not given, the others likewise.
        symbol: The value of --symbol.
        strategy: The value of --strategy.
        consequence: What a person must know when it is refused, such as "Nothing was halted.".

    Raises:
        CommandError: The running stack has no such market, account or strategy.
    """
    known = configuration_if_readable(place)
    for option, what, value, form, example, choices in (
        ("--symbol", "a market", symbol, SYMBOL_PATTERN, "BTC/USDT", known.symbols if known else ()),
        ("--strategy", "a strategy", strategy, STRATEGY_PATTERN, "ema_cross", (known.strategy.name,) if known else ()),
        ("--account", "an account", account, ACCOUNT_PATTERN, "main", known.exchange.accounts if known else ()),
    ):
        if value is None:
            continue
        if choices:
            check_choice(option, value, choices, what=f"{what} of this stack", consequence=consequence)
        elif not form.fullmatch(value):
            message = f"{option}: expected {what} such as {example}, found {value}"
            raise CommandError(_followed(message, consequence), status=ExitStatus.USAGE)


def check_reason(reason: str, *, consequence: str = "") -> None:
    """Check that a reason says something and can be kept.

    Raises:
        CommandError: It is empty or too long.
    """
    found = "an empty text" if not reason.strip() else f"{len(reason)}" if len(reason) > REASON_LENGTH_MAX else ""
    if found:
        message = f"--reason: expected a reason of up to {REASON_LENGTH_MAX} characters, found {found}"
        raise CommandError(_followed(message, consequence), status=ExitStatus.USAGE)


def check_choice(option: str, value: str, choices: Iterable[str], *, what: str, consequence: str = "") -> None:
    """Check that a value is one of a few.

    Raises:
        CommandError: It is not; the choices are named, and the nearest where one is near.
    """
    known = tuple(choices)
    if value in known:
        return
    by_letters = {_letters(choice): choice for choice in known}
    near = difflib.get_close_matches(_letters(value), by_letters, n=1, cutoff=NEAR_ENOUGH)
    raise CommandError(
        _followed(f"{option}: expected {what} ({', '.join(known)}), found {value}", consequence),
        hint=f"did you mean {by_letters[near[0]]}?" if near else "",
        status=ExitStatus.USAGE,
    )


def configuration_if_readable(place: Place) -> "TradingConfiguration | None":
    """Return the configuration that the stack runs with; None where its file is missing or damaged."""
    try:
        return place.configuration()
    except ConfigurationError:
        return None


def told_scope(account: str, *, symbol: str | None = None, strategy: str | None = None) -> str:
    """Return what a halt covers, for people: `everything of main`, `BTC/USDT of main`."""
    return f"{' with '.join(part for part in (symbol, strategy) if part) or 'everything'} of {account}"


def _followed(message: str, consequence: str) -> str:
    return f"{message}. {consequence}" if consequence else message


def _letters(text: str) -> str:
    """Return what is alike in `BTCUSDT`, `btc-usdt` and `BTC/USDT`."""
    return "".join(letter for letter in text.upper() if letter.isalnum())
