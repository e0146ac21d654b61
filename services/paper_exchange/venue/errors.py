"""Binance's refusals, with their exact codes and texts.

Invariant: every refusal that a client can meet is raised as an `ApiError` made here.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class ApiError(Exception):
    """A request that is refused.

    Args:
        code: Binance's error code.
        message: Binance's text.
        status: The HTTP status.
        retry_after_s: When to come back, for the rate limits.
    """

    def __init__(
        self, code: int, message: str, *, status: int = HTTPStatus.BAD_REQUEST, retry_after_s: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s

    def body(self) -> Mapping[str, Any]:
        """Return the error as Binance writes it."""
        return {"code": self.code, "msg": self.message}


def filter_failure(name: str) -> ApiError:
    """Return the refusal of an order that breaks one of the symbol's filters."""
    return ApiError(-1013, f"Filter failure: {name}")


def rejected(message: str) -> ApiError:
    """Return the matching engine's refusal of a new order."""
    return ApiError(-2010, message)


def missing(name: str) -> ApiError:
    """Return the refusal for an absent, empty or malformed mandatory parameter."""
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def one_of_two(first: str, second: str) -> ApiError:
    """Return the refusal for a request that names neither of two parameters of which it needs one."""
    return ApiError(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def needless(name: str) -> ApiError:
    """Return the refusal for a parameter that this kind of order does not take."""
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def illegal_characters(name: str, pattern: str) -> ApiError:
    """Return the refusal for a value outside the parameter's alphabet."""
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def invalid_symbol() -> ApiError:
    """Return the refusal for a symbol that is not listed."""
    return ApiError(-1121, "Invalid symbol.")


def insufficient_balance() -> ApiError:
    """Return the refusal for lack of funds."""
    return rejected("Account has insufficient balance for requested action.")


def would_trigger() -> ApiError:
    """Return the refusal of a stop whose price the market has reached already."""
    return rejected("Stop price would trigger immediately.")


def wrong_relationship() -> ApiError:
    """Return the refusal of two legs that do not lie on both sides of the market."""
    return rejected("The relationship of the prices for the orders is not correct.")


def unknown_order() -> ApiError:
    """Return the answer to a cancel that meets no open order."""
    return ApiError(-2011, "Unknown order sent.")


def no_such_order() -> ApiError:
    """Return the answer to a query for an order that never was."""
    return ApiError(-2013, "Order does not exist.")
