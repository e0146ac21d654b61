"""The service's I/O: the ledger in Postgres and read-only questions to the exchange."""

from services.position_manager.adapters.exchange import BinanceReader, read_keys
from services.position_manager.adapters.postgres import PostgresLedger, open_symbols, trailing_times

__all__ = ["BinanceReader", "PostgresLedger", "open_symbols", "read_keys", "trailing_times"]
