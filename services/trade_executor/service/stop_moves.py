"""Take up where the position manager says that a stop belongs, and let the planner place it there.

Invariant: a stop is only moved up, so that an event which repeats or was overtaken by a later one changes nothing; and
only of an entry that trails, by an event that names its account and symbol.
"""

from collections.abc import Sequence

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import StopMoved
from libs.common.errors import InvalidMessageError
from libs.trading.risk import Role
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.keeping import Keeper
from services.trade_executor.service.ports import Records


class StopMoves:
    """Handler of `StopMoved`."""

    def __init__(self, *, keeper: Keeper) -> None:
        self._keeper = keeper

    async def on_stop_moved(self, envelope: Envelope[StopMoved], records: Records) -> Sequence[Event]:
        """Store the stop with its chain, then plan the chain: what rests below it is replaced.

        Raises:
            InvalidMessageError: It is about another position than that of the entry that it names.
        """
        moved = envelope.event
        entry = await records.order(moved.entry_intent_id)
        if entry is None:
            return []  # of a database before ours: nothing here protects it
        _require_match(moved, entry)
        if not await records.move_stop(moved.entry_intent_id, moved.stop_loss):
            return []
        return await self._keeper.advance(records, chain_id=moved.entry_intent_id, symbol=entry.symbol)


def _require_match(moved: StopMoved, entry: ExecutorOrder) -> None:
    trails = entry.role is Role.ENTRY and entry.trailing_distance is not None
    if not trails or (moved.account, moved.symbol) != (entry.account, entry.symbol):
        raise InvalidMessageError(
            "stop of another position",
            expected=f"one of {entry.account} in {entry.symbol}, of an entry that trails",
            found=f"{moved.account} in {moved.symbol}, {'trailing' if trails else 'not trailing'}",
        )
