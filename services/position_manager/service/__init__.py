"""The handlers: bookings of fills, stops that trail, and the equity marks of every second."""

from services.position_manager.service.accounts import Accounts
from services.position_manager.service.equity import EquityMarker, begin_unmarked
from services.position_manager.service.fills import PositionKeeper
from services.position_manager.service.ports import AccountBalances, Exchange, Holdings, Ledger, Snapshot
from services.position_manager.service.trailing import StopTrailer

__all__ = [
    "AccountBalances",
    "Accounts",
    "EquityMarker",
    "Exchange",
    "Holdings",
    "Ledger",
    "PositionKeeper",
    "Snapshot",
    "StopTrailer",
    "begin_unmarked",
]
