"""Exits that no strategy asks for: a position that has been open for too long."""

from datetime import datetime, timedelta
from typing import Final

from services.position_manager.domain.ledger import Holding

RETRY_AFTER: Final = timedelta(seconds=30)
"""A refused exit (halted, no fresh market) is wished again; the risk manager answers each wish once."""


def time_exit_id(holding: Holding, now: datetime, exit_after: timedelta) -> str | None:
    """Return the id of the exit that is due now, None while none is.

    The id is a function of the position and the time, so that a restart wishes the same exit again and not another.
    """
    if holding.opened_at is None or now - holding.opened_at < exit_after:
        return None
    attempt = (now - holding.opened_at - exit_after) // RETRY_AFTER
    identity = f"time-exit|{holding.account}|{holding.symbol}|{holding.opened_revision}"
    return f"{identity}|{attempt}" if attempt else identity
