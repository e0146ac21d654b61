"""The handlers: bookings of fills, and the equity marks of every second."""

from services.position_manager.service.accounts import Accounts
from services.position_manager.service.equity import EquityMarker
from services.position_manager.service.fills import PositionKeeper
from services.position_manager.service.ports import AccountBalances, Exchange, Holdings, Ledger, Snapshot

__all__ = [
    "AccountBalances",
    "Accounts",
    "EquityMarker",
    "Exchange",
    "Holdings",
    "Ledger",
    "PositionKeeper",
    "Snapshot",
]
