"""What trades at the moment, and by which limits.

Invariant: what exchangeInfo shows is what orders are checked by, and what the journal has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from services.paper_exchange.venue.orders import NewOrder
from services.paper_exchange.venue.records import Record
from services.paper_exchange.venue.rules import LISTED, SymbolRules

TRADING = "TRADING"
STATUSES = (TRADING, "HALT", "BREAK", "CANCEL_ONLY")


class Listing:
    """The status and the rules of every symbol.

    Args:
        symbols: What is listed.
    """

    def __init__(self, symbols: Iterable[str]) -> None:
        self._statuses = dict.fromkeys(symbols, TRADING)
        self._rules = {symbol: LISTED[symbol] for symbol in self._statuses}
        self.closed: frozenset[str] = frozenset()

    def status(self, symbol: str) -> str:
        """Return whether a symbol trades, in Binance's words."""
        return self._statuses[symbol]

    def rules(self, symbol: str) -> SymbolRules:
        """Return the rules in force."""
        return self._rules[symbol]

    def as_ruled(self, new: NewOrder) -> NewOrder:
        """Return an order with the rules in force as its own."""
        rules = self._rules[new.rules.symbol]
        return new if rules is new.rules else replace(new, rules=rules)

    def change(self, symbol: str, *, status: str, limits: Mapping[str, int | None]) -> Record:
        """Give a symbol another status and other limits, and return how the journal writes it.

        Args:
            symbol: A listed one.
            status: One of `STATUSES`.
            limits: By the names of `SymbolRules`; the others stay what they are. Units of account cannot change.
        """
        self._statuses[symbol] = status
        self._rules[symbol] = replace(self._rules[symbol], **limits)  # type: ignore[arg-type]  # all of these are int
        self.closed = frozenset(name for name, each in self._statuses.items() if each != TRADING)
        return self._record(symbol)

    def records(self) -> list[Record]:
        """Return how the journal writes what is not as it was listed."""
        changed = (name for name in self._rules if name in self.closed or self._rules[name] != LISTED[name])
        return [self._record(symbol) for symbol in changed]

    def restore(self, records: Iterable[Mapping[str, Record]]) -> None:
        """Take over what the journal says."""
        for record in records:
            self.change(str(record["symbol"]), status=str(record["status"]), limits=record["limits"])

    def _record(self, symbol: str) -> Record:
        listed = asdict(LISTED[symbol])
        limits = {name: value for name, value in asdict(self._rules[symbol]).items() if value != listed[name]}
        return {"type": "symbol", "symbol": symbol, "status": self._statuses[symbol], "limits": limits}
