"""Carry a position's orders one step further, within the transaction that changed something about them.

Invariant: what is to be sent is durable, with its signing time, before the errand to send it exists.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from libs.common.clock import Clock, epoch_ms
from libs.common.contracts.event import Event
from libs.exchange.instruments import Listing
from libs.exchange.limits import Purpose
from libs.trading.market import OrderType
from libs.trading.orders import OrderStatus
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.children import market_sale, protection
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.domain.planning import (
    CancelWorking,
    Decline,
    Later,
    Protect,
    ReadFills,
    Rest,
    Sell,
    next_step,
    sellable,
)
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.controls import Controls
from services.trade_executor.service.errands import Cancel, Errand, Errands, FetchFills, LookLater, Send
from services.trade_executor.service.events import order_updated
from services.trade_executor.service.ports import Records
from services.trade_executor.service.replacing import ORDERS, REPLACEMENTS_MAX
from services.trade_executor.service.venues import Venues

CLOCK_RETRY_S: Final = 0.25


class Keeper:
    """Plans chains and prepares what their next steps need."""

    def __init__(
        self,
        *,
        venues: Venues,
        brake: Brake,
        controls: Controls,
        errands: Errands,
        after_commit: Callable[[Callable[[], None]], None],
        epoch: Callable[[], int],
        installation: str,
        clock: Clock,
    ) -> None:
        self._venues = venues
        self._brake = brake
        self._controls = controls
        self._errands = errands
        self._after_commit = after_commit
        self._epoch = epoch
        self._installation = installation
        self._clock = clock

    async def advance(self, records: Records, *, chain_id: uuid.UUID, symbol: str) -> Sequence[Event]:
        """Take a chain as far as it can go now and return what changed.

        Args:
            records: Of the transaction that changed something.
            chain_id: The chain.
            symbol: Its symbol.
        """
        listing = self._venues.listing(symbol)
        if listing is None:
            return []  # nothing can be sized yet; the first reconciliation plans every open chain
        events: list[Event] = []
        while True:
            chain = await records.chain(chain_id, base=listing.instrument.base)
            if chain is None:
                return events
            account = chain.entry.account
            step = next_step(
                chain,
                listing,
                state=self._brake.state(account),
                now=self._clock.now(),
                opened_at=self._venues.opened_at.get(symbol),
            )
            if not isinstance(step, Decline):
                break
            # The request was never sent; without it the chain's next step is another one.
            declined = step.request.ended(self._clock.now(), OrderStatus.ABANDONED, step.reason)
            await records.update(declined)
            events.append(order_updated(declined))
        match step:
            case Protect() | Sell():
                events.extend(await self._prepare(records, chain, step, listing))
            case CancelWorking(orders, may_wait):
                wait_s = self._until_replaceable_s(orders) if may_wait else 0.0
                at = self._clock.now() + timedelta(seconds=wait_s)
                self._later(Cancel(orders, may_wait=may_wait) if wait_s == 0 else LookLater(account, chain_id, at))
            case ReadFills(order):
                self._later(FetchFills(order))
            case Later(at):
                self._later(LookLater(account, chain_id, at))
            case Rest():
                await self._close_if_done(records, chain, listing)
        return events

    async def _prepare(self, records: Records, chain: Chain, step: Protect | Sell, listing: Listing) -> Sequence[Event]:
        account, now = chain.entry.account, self._clock.now()
        signed_at_ms = self._venues.exchange_ms(account)
        # A protection may be a list of two.
        wait_s = self._wait_s(account, orders=ORDERS if isinstance(step, Protect) else 1)
        if signed_at_ms is None or wait_s > 0:
            self._later(LookLater(account, chain.chain_id, now + timedelta(seconds=max(wait_s, CLOCK_RETRY_S))))
            return []
        orders: tuple[ExecutorOrder, ...]
        if isinstance(step, Sell) and step.request is not None:
            request = step.request.changed(
                now, quantity=step.quantity, order_type=OrderType.MARKET, signed_at_ms=signed_at_ms
            )
            request = replace(request, authority=replace(request.authority, epoch=self._epoch()))
            await records.update(request)
            orders = (request,)
        else:
            orders = self._children(chain, step, listing, signed_at_ms)
            for order in orders:
                await records.insert(order)
        await records.set_chain_open(chain.chain_id, is_open=True)
        ahead_ms = signed_at_ms - epoch_ms(now)
        self._later(Send(orders, _exposed_since_ms(chain, ahead_ms) if isinstance(step, Protect) else None))
        return [order_updated(order) for order in orders]

    def _until_replaceable_s(self, protection: Sequence[ExecutorOrder]) -> float:
        """Return the seconds until a protection may be replaced; 0: now, with room for all that may be under way."""
        lists = len({order.list_client_order_id or order.client_order_id for order in protection})
        wait_s = self._wait_s(protection[0].account, orders=ORDERS * (REPLACEMENTS_MAX - 1 + lists))
        return wait_s or self._controls.replace_s(protection[0], lists=lists)

    def _wait_s(self, account: str, *, orders: int) -> float:
        """Return the seconds until so many orders may be sent; 0: now."""
        wait_s = self._venues.wait_s(account, Purpose.REDUCTION, orders=orders)
        return wait_s if self._venues.exchange_ms(account) is not None else max(wait_s, CLOCK_RETRY_S)

    def _children(
        self, chain: Chain, step: Protect | Sell, listing: Listing, signed_at_ms: int
    ) -> tuple[ExecutorOrder, ...]:
        now, installation = self._clock.now(), self._installation
        children = (
            protection(chain, step.quantity, listing, signed_at_ms=signed_at_ms, installation=installation, now=now)
            if isinstance(step, Protect)
            else (
                market_sale(
                    chain, step.quantity, step.role, signed_at_ms=signed_at_ms, installation=installation, now=now
                ),
            )
        )
        return tuple(replace(child, authority=replace(child.authority, epoch=self._epoch())) for child in children)

    async def _close_if_done(self, records: Records, chain: Chain, listing: Listing) -> None:
        idle = all(order.is_over for order in chain.orders)
        done = idle and sellable(chain, chain.held, listing) == 0
        await records.set_chain_open(chain.chain_id, is_open=not done, leftover=chain.held if done else Decimal(0))

    def _later(self, errand: Errand) -> None:
        self._after_commit(lambda: self._errands.put(errand))


def _exposed_since_ms(chain: Chain, ahead_ms: int) -> int | None:
    """Return when, on the exchange's time, the position was last filled or last lost a sell that had rested."""
    lost = [order for order in chain.sells if order.is_over and order.exchange_order_id is not None]
    since = (*(fill.trade.at_ms for fill in chain.fills), *(epoch_ms(order.updated_at) + ahead_ms for order in lost))
    return max(since, default=None)
