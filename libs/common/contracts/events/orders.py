"""The way of an order: approved or refused, sent, and filled."""

import uuid

from pydantic import Field

from libs.common.contracts.event import Event
from libs.common.contracts.fields import (
    AccountName,
    Commission,
    Name,
    NonNegative,
    Number,
    Positive,
    Price,
    Quantity,
    Revision,
    Symbol,
    Text,
    UtcTime,
)
from libs.common.contracts.vocabulary import OrderStatus, Role, Side


class OrderApproved(Event):
    """Leave to send one order, once, before it expires.

    Attributes:
        intent_id: The order's identity through its whole life; derived from account, signal and leg.
        limit_price: The worst acceptable price: entries are marketable limits within the collar; None: market order.
        stop_loss: Where the position is to be protected once it is bought; `take_profit` likewise.
        trailing_distance: How far below the highest price the stop follows it then; None: it stays where it is.
        expires_at: After this, on the exchange's time, it must not be sent.
        halt_epoch: Number of halts seen when it was approved; the executor refuses if there was another since.
        risk_epoch: The approving risk manager's epoch.
        configuration_version: The configuration it was decided under.
    """

    intent_id: uuid.UUID
    signal_id: Name
    strategy: Name
    account: AccountName
    symbol: Symbol
    side: Side
    role: Role
    quantity: Quantity
    limit_price: Price | None = None
    reference_price: Positive
    stop_loss: Price | None = None
    take_profit: Price | None = None
    trailing_distance: Price | None = None
    expires_at: UtcTime
    halt_epoch: Number
    risk_epoch: Number
    configuration_version: Revision

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One approval an intent, for ever."""
        return str(self.intent_id)


class OrderRefused(Event):
    """A signal that was not approved for an account, and which limit stood against it.

    Attributes:
        reason: From the core's closed list of refusal reasons.
        limit: The limit that applies, `observed` what was found, both for people.
    """

    signal_id: Name
    strategy: Name
    account: AccountName
    symbol: Symbol
    side: Side
    role: Role
    reason: str = Field(pattern=r"^[A-Z][A-Z0-9_]{1,60}$")
    limit: Text = ""
    observed: Text = ""

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One answer a signal and account."""
        return f"{self.account}|{self.signal_id}"


class OrderUpdated(Event):
    """An order's state changed: at us or at the exchange.

    Attributes:
        revision: Rises by one with every change of this order; readers ignore older ones.
        parent_intent_id: The entry whose position this order protects or closes; None for an entry.
        order_list_id: The exchange's list that it belongs to, if any.
        reason: Why it ended or was not sent, in stable words.
        final: True on the one answer that releases an approval's reservation.
        sent_at: Signing time of the request; None while unsent.
    """

    intent_id: uuid.UUID
    revision: Revision
    account: AccountName
    symbol: Symbol
    side: Side
    role: Role
    strategy: Name = ""
    signal_id: Name = ""
    client_order_id: str = Field(min_length=1, max_length=36)
    exchange_order_id: Name | None = None
    order_list_id: Name | None = None
    parent_intent_id: uuid.UUID | None = None
    order_type: Name
    status: OrderStatus
    quantity: Quantity
    price: Price | None = None
    stop_price: Price | None = None
    filled_quantity: NonNegative
    filled_amount: NonNegative
    reason: Text = ""
    final: bool = False
    sent_at: UtcTime | None = None

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """One event a revision."""
        return f"{self.account}|{self.client_order_id}|{self.revision}"


class OrderFilled(Event):
    """An execution of one of our orders; `occurred_at` is the exchange's trade time.

    Attributes:
        commission: In `commission_asset`, which may be the base, the quote or a third asset.
        commission_rate: Price of the commission asset in the quote currency, where it is a third one and known.
        stop_loss: Where its entry wants the position protected, `take_profit` and `trailing_distance` likewise.
    """

    intent_id: uuid.UUID
    parent_intent_id: uuid.UUID | None = None
    account: AccountName
    symbol: Symbol
    trade_id: Number
    exchange_order_id: Name
    client_order_id: Name
    strategy: Name = ""
    side: Side
    role: Role
    quantity: Quantity
    price: Price
    commission: Commission
    commission_asset: Name
    commission_rate: NonNegative | None = Field(default=None, le=10**11)
    maker: bool = False
    stop_loss: Price | None = None
    take_profit: Price | None = None
    trailing_distance: Price | None = None

    @property
    def key(self) -> str:
        """Ordered per account."""
        return self.account

    @property
    def natural_key(self) -> str:
        """Two of our accounts can meet in one trade: the order belongs to the key."""
        return f"{self.account}|{self.symbol}|{self.trade_id}|{self.exchange_order_id}"
