"""Every topic in one table: what it carries, what keeps its order, how long it keeps it.

The topics are created and `docs/asyncapi.json` is generated from this table; nothing else names a topic.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from libs.common.contracts import events
from libs.common.contracts.event import Event

DAY_MS: Final = 86_400_000
MEBIBYTE: Final = 1_048_576
FOREVER: Final = -1


class TopicName(StrEnum):
    """The topics' names, without the prefix that tests and second installations may set."""

    MARKET_TICKS = "market.ticks"
    MARKET_CANDLES = "market.candles"
    MARKET_STATUS = "market.status"
    SIGNALS = "signals"
    ORDERS_APPROVED = "orders.approved"
    ORDERS_REFUSED = "orders.refused"
    ORDERS_UPDATES = "orders.updates"
    FILLS = "fills"
    POSITIONS = "positions"
    STOPS = "stops"
    ACCOUNT_EQUITY = "account.equity"
    CONTROL = "control"
    CONTROL_STATE = "control.state"
    CONTROL_ACKS = "control.acks"
    ALERTS = "alerts"
    HEARTBEATS = "heartbeats"
    LOGS = "logs"
    DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One row of the table.

    Attributes:
        event_types: What may stand on it; anything else is a poison message.
        key: What the record key is, for the document; the events' `key` property produces it.
        partitions: 1 per account shard where an account's order must hold.
        retention_ms: How long records stay; FOREVER for everything about money.
        retention_bytes: Bound of each partition, whatever the age.
        halts_account: A poison message here halts the account and starts a reconciliation.
        market_data: May be conflated to the latest under pressure, and read from its end; nothing else may.
    """

    name: TopicName
    event_types: tuple[type[Event], ...]
    key: str
    description: str
    partitions: int = 1
    retention_ms: int = FOREVER
    retention_bytes: int = 16_384 * MEBIBYTE
    halts_account: bool = False
    market_data: bool = False


TOPICS: Final[tuple[Topic, ...]] = (
    Topic(
        name=TopicName.MARKET_TICKS,
        event_types=(events.TradePrinted, events.QuoteChanged),
        key="symbol",
        description="Ticks: every public trade, and the best quote at most 20 times a second and symbol.",
        partitions=4,
        retention_ms=DAY_MS,
        retention_bytes=512 * MEBIBYTE,
        market_data=True,
    ),
    Topic(
        name=TopicName.MARKET_CANDLES,
        event_types=(events.CandleClosed,),
        key="symbol",
        description="Closed candles of the decision interval and of one minute.",
        partitions=4,
        retention_ms=90 * DAY_MS,
        retention_bytes=1_024 * MEBIBYTE,
    ),
    Topic(
        name=TopicName.MARKET_STATUS,
        event_types=(events.MarketStatusChanged,),
        key="symbol",
        description="Whether each market can be traded on, at every change and every second.",
        partitions=4,
        retention_ms=DAY_MS,
        retention_bytes=256 * MEBIBYTE,
        market_data=True,
    ),
    Topic(
        name=TopicName.SIGNALS,
        event_types=(events.SignalGenerated, events.SignalHeld),
        key="symbol",
        description="What strategies and exit rules wish, and what they decided to hold.",
        partitions=4,
    ),
    Topic(
        name=TopicName.ORDERS_APPROVED,
        event_types=(events.OrderApproved,),
        key="account",
        description="Approved orders, each to be sent once before it expires.",
        halts_account=True,
    ),
    Topic(
        name=TopicName.ORDERS_REFUSED,
        event_types=(events.OrderRefused,),
        key="account",
        description="Signals that were not approved, with the limit that stood against them.",
    ),
    Topic(
        name=TopicName.ORDERS_UPDATES,
        event_types=(events.OrderUpdated,),
        key="account",
        description="Every change of an order, at us and at the exchange.",
        halts_account=True,
    ),
    Topic(
        name=TopicName.FILLS,
        event_types=(events.OrderFilled, events.BalancesAdjusted),
        key="account",
        description="Executions of our orders, and what else moved balances: every change of the ledger.",
        halts_account=True,
    ),
    Topic(
        name=TopicName.POSITIONS,
        event_types=(events.PositionChanged,),
        key="account",
        description="Positions after each change.",
    ),
    Topic(
        name=TopicName.STOPS,
        event_types=(events.StopMoved,),
        key="account",
        description="Where the stops of positions belong that trail, at every move.",
    ),
    Topic(
        name=TopicName.ACCOUNT_EQUITY,
        event_types=(events.EquityMarked,),
        key="account",
        description="Equity marked to the bid, every second.",
        retention_ms=90 * DAY_MS,
        retention_bytes=2_048 * MEBIBYTE,
        halts_account=True,
    ),
    Topic(
        name=TopicName.CONTROL,
        event_types=(events.ControlCommanded,),
        key="account",
        description="Signed commands of operators: to halt, resume, start, stop, configure, accept, acknowledge.",
        halts_account=True,
    ),
    Topic(
        name=TopicName.CONTROL_STATE,
        event_types=(events.TradingStateChanged, events.ConfigurationChanged),
        key="account, or `configuration`",
        description="The trading state and the configuration, each whole after each change.",
    ),
    Topic(
        name=TopicName.CONTROL_ACKS,
        event_types=(events.CommandAcknowledged, events.AccountSwept, events.OperatorKeyChanged),
        key="account, or `operators`",
        description="Answers to commands, the proof that a halt holds, and who may command.",
    ),
    Topic(
        name=TopicName.ALERTS,
        event_types=(events.AlertRaised,),
        key="account or component",
        description="What a person should know, to be routed to the channels.",
    ),
    Topic(
        name=TopicName.HEARTBEATS,
        event_types=(events.HeartbeatSent, events.AccountReconciled),
        key="component, or account",
        description="Progress of every process, every two seconds, and of each account's reconciliation.",
        retention_ms=DAY_MS,
        retention_bytes=128 * MEBIBYTE,
    ),
    Topic(
        name=TopicName.LOGS,
        event_types=(events.LogRecorded,),
        key="component",
        description="Structured log lines of INFO and above.",
        retention_ms=7 * DAY_MS,
        retention_bytes=512 * MEBIBYTE,
    ),
    Topic(
        name=TopicName.DEAD_LETTERS,
        event_types=(events.MessageDeadLettered,),
        key="topic",
        description="Messages that nobody could use, whole, with the reason.",
        retention_bytes=1_024 * MEBIBYTE,
    ),
)

TOPIC_BY_NAME: Final = {topic.name: topic for topic in TOPICS}
TOPIC_OF: Final[dict[type[Event], Topic]] = {event_type: topic for topic in TOPICS for event_type in topic.event_types}
"""Each event type stands on exactly one topic, so publishing needs no name."""
EVENT_TYPES: Final[dict[str, type[Event]]] = {event_type.__name__: event_type for event_type in TOPIC_OF}
