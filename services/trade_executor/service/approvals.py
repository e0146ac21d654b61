"""Make approvals durable intents, or answer at once why not.

Invariant: every approval is recorded exactly once and gets exactly one final answer, whatever becomes of it.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from libs.common.clock import Clock, from_epoch_ms
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import OrderApproved
from libs.exchange.limits import Purpose
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.trade_executor.domain.children import exits_of
from services.trade_executor.domain.identifiers import client_order_id
from services.trade_executor.domain.orders import Authority, ExecutorOrder, Occupancy, Origin
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.errands import Errands, Send
from services.trade_executor.service.events import order_updated
from services.trade_executor.service.keeping import Keeper
from services.trade_executor.service.ports import Records
from services.trade_executor.service.standing import Standing
from services.trade_executor.service.venues import Venues

ORDERS_OF_A_LIST_MAX: Final = 3


class Approvals:
    """Handler of `orders.approved`.

    Args:
        entry_lists: Whether an entry is sent with its exits as one list where the symbol allows it.
    """

    def __init__(
        self,
        *,
        venues: Venues,
        brake: Brake,
        standing: Standing,
        keeper: Keeper,
        errands: Errands,
        after_commit: Callable[[Callable[[], None]], None],
        epoch: Callable[[], int],
        clock: Clock,
        installation: str,
        recv_window_ms: int,
        configuration_hash: Callable[[], str],
        entry_lists: Callable[[], bool],
    ) -> None:
        self._venues = venues
        self._brake = brake
        self._standing = standing
        self._keeper = keeper
        self._errands = errands
        self._after_commit = after_commit
        self._epoch = epoch
        self._clock = clock
        self._installation = installation
        self._recv_window_ms = recv_window_ms
        self._configuration_hash = configuration_hash
        self._entry_lists = entry_lists

    async def on_approved(self, envelope: Envelope[OrderApproved], records: Records) -> Sequence[Event]:
        """Record the intent of an approval; what is to be sent is sent after the commit."""
        approval = envelope.event
        occupancy = await records.occupancy(approval.account, approval.symbol, intent_id=approval.intent_id)
        if occupancy.is_recorded:
            return []  # answered, or being answered: an approval is used once
        order = self._intent(envelope)
        if approval.account not in self._venues.gateways:
            return await self._refuse(records, order, "UNKNOWN_ACCOUNT")
        match (order.role, order.side):
            case (Role.ENTRY, Side.BUY):
                return await self._enter(records, order, occupancy)
            case (Role.EXIT | Role.LIQUIDATION, Side.SELL):
                return await self._exit(records, order)
            case _:
                return await self._refuse(records, order, "UNSUPPORTED")

    async def _enter(self, records: Records, order: ExecutorOrder, occupancy: Occupancy) -> Sequence[Event]:
        objection = self._objection(order) or self._entry_objection(order, occupancy)
        if objection is not None:
            return await self._refuse(records, order, objection)
        signed = replace(order, signed_at_ms=self._venues.exchange_ms(order.account))
        exits = self._exits_of(signed)
        if exits:  # they stand only if all of it fills
            signed = replace(signed, time_in_force="FOK")
        orders = (signed, *exits)
        for each in orders:
            await records.insert(each)
        self._after_commit(lambda: self._errands.put(Send(orders)))
        return [order_updated(each) for each in orders]

    def _exits_of(self, entry: ExecutorOrder) -> Sequence[ExecutorOrder]:
        listing = self._venues.listing(entry.symbol)
        if not self._entry_lists() or listing is None:
            return ()
        return exits_of(
            entry,
            listing,
            installation=self._installation,
            now=self._clock.now(),
        )

    async def _exit(self, records: Records, order: ExecutorOrder) -> Sequence[Event]:
        objection = self._objection(order)
        if objection is not None:
            return await self._refuse(records, order, objection)
        chain_id = await self._chain_to_close(records, order)
        if chain_id is None:
            return await self._refuse(records, order, "NO_POSITION")
        waiting = replace(order, chain_id=chain_id)
        await records.insert(waiting)
        await records.take_over_dust(chain_id)  # else it would add up to a position that nothing sells
        planned = await self._keeper.advance(records, chain_id=chain_id, symbol=order.symbol)
        return [order_updated(waiting), *planned]

    def _objection(self, order: ExecutorOrder) -> str | None:
        exchange_ms = self._venues.exchange_ms(order.account)
        if exchange_ms is None or self._venues.listing(order.symbol) is None:
            return "NOT_RECONCILED"
        if order.authority.expires_at is not None and from_epoch_ms(exchange_ms) >= order.authority.expires_at:
            return "EXPIRED"
        return self._brake.objection(order.role, order.account, symbol=order.symbol, strategy=order.strategy)

    def _entry_objection(self, order: ExecutorOrder, occupancy: Occupancy) -> str | None:
        objection = self._rule_objection(order) or self._standing.objection(order.account)
        if objection is not None:
            return objection
        if occupancy.has_unresolved:
            return "SYMBOL_HAS_UNKNOWN_ORDER"
        return "POSITION_OPEN" if occupancy.has_open_chain else None

    def _rule_objection(self, order: ExecutorOrder) -> str | None:
        listing = self._venues.listing(order.symbol)
        if order.price is None or listing is None:
            return "NO_LIMIT_PRICE"
        if not listing.instrument.trading:
            return "SYMBOL_NOT_TRADING"
        rules = listing.instrument
        violations = rules.violations(order.order_type, order.side, order.quantity, order.price, order.price)
        if violations:
            return f"FILTER_{violations[0].filter}"
        # An approval is void before the exchange's minute is over, so an entry does not wait for its budget.
        orders_max = ORDERS_OF_A_LIST_MAX if self._entry_lists() else 1
        wait_s = self._venues.wait_s(order.account, Purpose.ENTRY, orders=orders_max)
        return "RATE_BUDGET" if wait_s > 0 else None

    async def _chain_to_close(self, records: Records, order: ExecutorOrder) -> uuid.UUID | None:
        """Return the open chain that holds most, else a closed one that left dust: it may be enough to sell."""
        listing = self._venues.listing(order.symbol)
        if listing is None:
            return None
        held = {}
        for chain_id in await records.open_chains(order.account, order.symbol):
            chain = await records.chain(chain_id, base=listing.instrument.base)
            if chain is not None and (chain.held > 0 or chain.entry.is_unresolved):
                held[chain_id] = chain.held
        if not held:
            return await records.dusty_chain(order.account, order.symbol)
        return max(held, key=lambda chain_id: held[chain_id])

    async def _refuse(self, records: Records, order: ExecutorOrder, reason: str) -> Sequence[Event]:
        refused = replace(order, status=OrderStatus.ABANDONED, reason=reason, final=True)
        await records.insert(refused)
        return [order_updated(refused)]

    def _intent(self, envelope: Envelope[OrderApproved]) -> ExecutorOrder:
        approval = envelope.event
        role = Role(approval.role.value)
        is_entry = role is Role.ENTRY
        now = self._clock.now()
        return ExecutorOrder(
            intent_id=approval.intent_id,
            chain_id=approval.intent_id,
            account=approval.account,
            symbol=approval.symbol,
            side=Side(approval.side.value),
            role=role,
            approved=True,
            strategy=approval.strategy,
            signal_id=approval.signal_id,
            client_order_id=client_order_id(approval.intent_id, role, self._installation),
            order_type=OrderType.LIMIT if is_entry else OrderType.MARKET,
            time_in_force="IOC" if is_entry else None,
            quantity=approval.quantity,
            price=approval.limit_price if is_entry else None,
            stop_loss=approval.stop_loss,
            take_profit=approval.take_profit,
            trailing_distance=approval.trailing_distance,
            reference_price=approval.reference_price,
            authority=Authority(
                expires_at=approval.expires_at,
                halt_epoch=approval.halt_epoch,
                risk_epoch=approval.risk_epoch,
                configuration_version=approval.configuration_version,
                configuration_hash=self._configuration_hash(),
                epoch=self._epoch(),
            ),
            origin=Origin(
                event_id=envelope.event_id,
                correlation_id=envelope.correlation_id or envelope.event_id,
                traceparent=envelope.traceparent,
                origin_at=envelope.origin_at,
            ),
            created_at=now,
            updated_at=now,
            recv_window_ms=self._recv_window_ms,
        )
