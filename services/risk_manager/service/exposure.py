"""What orders and positions claim of the limits, as the executor and the position manager report it."""

from collections.abc import Sequence

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import OrderUpdated, PositionChanged
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.service.ports import RiskBook, RiskRecords


class ExposureKeeper:
    """Keeps the claims of approved orders until the positions that come of them are known."""

    def __init__(self, *, book: RiskBook) -> None:
        self._book = book

    async def on_order_updated(self, envelope: Envelope[OrderUpdated], records: RiskRecords) -> Sequence[Event]:
        """Take over the order's absolute values; the final update releases what was not bought."""
        update = envelope.event
        before = await records.claim(update.intent_id)
        if before is None:  # protection and its like: the child of an entry, which claims nothing of its own
            return ()
        after = before.after(update)
        if after.phase is Phase.FILLED and await self._is_known(after, records):
            after = after.released(at=update.occurred_at)
        await self._save(before, after, records)
        return ()

    async def on_position_changed(self, envelope: Envelope[PositionChanged], records: RiskRecords) -> Sequence[Event]:
        """Take over the position, and release the entries that it contains now."""
        event = envelope.event
        position = held(event)
        if not await records.save_position(position, at=event.occurred_at):
            return ()
        for claim in await records.open_claims(event.account):
            if claim.settled_by(position):
                await self._save(claim, claim.released(at=event.occurred_at), records)
        records.after_commit(lambda: self._book.position_changed(position))
        return ()

    async def _is_known(self, claim: Claim, records: RiskRecords) -> bool:
        positions = await records.positions(claim.account)
        return any(claim.settled_by(position) for position in positions)

    async def _save(self, before: Claim, after: Claim, records: RiskRecords) -> None:
        if after == before:
            return
        await records.save_claim(after)
        records.after_commit(lambda: self._book.claim_changed(after))


def held(event: PositionChanged) -> HeldPosition:
    """Return the position of an event; dust counts as flat."""
    return HeldPosition(
        account=event.account,
        symbol=event.symbol,
        revision=event.revision,
        quantity=event.quantity,
        cost=event.cost,
        round_trips=event.round_trips,
        strategy=event.strategy,
        is_open=event.entry_price is not None,
    )
