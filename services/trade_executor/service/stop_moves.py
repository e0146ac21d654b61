"""Take up where the position manager says that a stop belongs, and let the planner place it there.

Invariant: a stop is only moved up, so that an event which repeats or was overtaken by a later one changes nothing.
"""

from collections.abc import Sequence

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import StopMoved
from services.trade_executor.service.keeping import Keeper
from services.trade_executor.service.ports import Records


class StopMoves:
    """Handler of `StopMoved`."""

    def __init__(self, *, keeper: Keeper) -> None:
        self._keeper = keeper

    async def on_stop_moved(self, envelope: Envelope[StopMoved], records: Records) -> Sequence[Event]:
        """Store the stop with its chain, then plan the chain: what rests below it is replaced."""
        moved = envelope.event
        if not await records.move_stop(moved.entry_intent_id, moved.stop_loss):
            return []
        return await self._keeper.advance(records, chain_id=moved.entry_intent_id, symbol=moved.symbol)
