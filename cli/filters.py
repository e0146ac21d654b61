"""The states that a listing can be filtered by: the vocabularies of its view, in upper case as queries compare them."""

from typing import Final

from cli.scope import check_choice

ONLY_THE_RISK_MANAGERS: Final = (
    *("RISK_STATE_IS_UNAVAILABLE", "INSTRUMENT_IS_UNKNOWN", "ROLE_NEEDS_AN_ORDER_FROM_ABOVE", "EXIT_IS_UNDER_WAY"),
)
"""Reasons of refusals that come of the risk manager's own state; a test holds them to its vocabulary."""


def checked_state(listing: str, state: str | None) -> str | None:
    """Return the value of --state as the database has it.

    Args:
        listing: The name of the listing.
        state: As it was typed; None: not given.

    Raises:
        CommandError: The listing knows no such state.
    """
    if state is None:
        return None
    check_choice("--state", state.upper(), states_of(listing), what=f"a state of {listing}")
    return state.upper()


def states_of(listing: str) -> tuple[str, ...]:
    """Return every state that a listing's rows may have."""
    from libs.common.contracts.vocabulary import AlertType, OrderStatus  # noqa: PLC0415 - pydantic: see `cli`
    from libs.trading.risk import RefusalReason  # noqa: PLC0415

    return {
        "signals": ("BUY", "SELL", "HOLD"),
        "orders": tuple(OrderStatus),
        "alerts": tuple(AlertType),
        "refusals": (*(reason.upper() for reason in RefusalReason), *ONLY_THE_RISK_MANAGERS),
    }[listing]
