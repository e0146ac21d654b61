"""What orders and positions claim of the limits, as the executor and the position manager report it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import OrderUpdated, PositionChanged
from libs.common.contracts.vocabulary import Role
from libs.trading.money import exact
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.service.ports import RiskBook, RiskRecords

_ZERO: Final = Decimal(0)
_BEFORE_ALL: Final = Decimal(-1)


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
        await self._save(before, after, records)
        if after != before and after.role is Role.ENTRY and update.final:
            await self._settle(update.account, update.symbol, records, at=update.occurred_at)
        return ()

    async def on_position_changed(self, envelope: Envelope[PositionChanged], records: RiskRecords) -> Sequence[Event]:
        """Take over the position, and release the entries that it contains now."""
        event = envelope.event
        position = held(event)
        if not await records.save_position(position, at=event.occurred_at):
            return ()
        await self._settle(event.account, event.symbol, records, at=event.occurred_at)
        records.after_commit(lambda: self._book.position_changed(position))
        return ()

    async def _settle(self, account: str, symbol: str, records: RiskRecords, *, at: datetime) -> None:
        """Release the finished entries that the position contains, in the order in which they were approved.

        Every booking of an entry comes after its approval. Therefore the earliest claim counts no other one's bookings
        of before, and is settled at the latest when everything is booked; then the next one is the earliest.
        """
        held_now = [each for each in await records.positions(account) if each.symbol == symbol]
        if not held_now:
            return
        (position,) = held_now
        claims = [each for each in await records.open_claims(account) if each.symbol == symbol]
        for claim in sorted(claims, key=_begins):
            others = await self._others(claim, claims, records)
            if claim.settled_by(position, others=others):
                claims.remove(claim)
                await self._save(claim, claim.released(at=at), records)

    async def _others(self, claim: Claim, claims: Sequence[Claim], records: RiskRecords) -> Decimal:
        """Return what other entries bought, or may have bought, since the claim began."""
        if claim.phase is not Phase.FILLED or claim.bought_before is None:
            return _ZERO
        with exact():
            still_claimed = sum((each.may_have_bought for each in claims if each is not claim), _ZERO)
        released = await records.bought_by_released(claim.account, claim.symbol, since=claim.bought_before)
        with exact():
            return still_claimed + released

    async def _save(self, before: Claim, after: Claim, records: RiskRecords) -> None:
        if after == before:
            return
        await records.save_claim(after)
        records.after_commit(lambda: self._book.claim_changed(after))


def _begins(claim: Claim) -> Decimal:
    """Order claims by what was bought before them; those of which nobody knew come first."""
    return _BEFORE_ALL if claim.bought_before is None else claim.bought_before


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
        bought=event.bought,
    )
