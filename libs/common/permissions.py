"""Who may do what at the stores: the one table that users, access lists and their tests are made of.

Invariant: what is not listed here is refused. Postgres alone has its rights in the migrations, beside the tables that
they are about; here stands only who connects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.common.contracts.topics import TopicName as Topic
from libs.common.storage import keys
from libs.common.storage.migrations import LOGINS

KAFKA_ADMIN: Final = "admin"
"""The broker's own user, and that of the jobs that set the cluster up: everything is allowed to it."""

_TOLD_BY_ALL: Final = frozenset({Topic.HEARTBEATS, Topic.LOGS, Topic.DEAD_LETTERS})
"""Every process tells that it lives, what happened, and which message it could not use."""

REDIS_FAMILIES: Final[Mapping[str, str]] = {
    "permit": keys.permit("*"),
    "halts": keys.halts("*"),
    "halts-in-part": keys.halts_in_part("*"),
    "risk-fence": keys.risk_fence("*"),
    "risk-claims": keys.risk_claims("*"),
    "risk-generation": keys.risk_generation("*"),
    "price": keys.latest_price("*"),
}
"""Every family of keys and the pattern of its keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What one process may do.

    Attributes:
        reads: Topics that it reads.
        writes: Topics that it writes.
        has_group: It reads as a consumer group of its own name.
        redis: By family of keys, the commands that it may give about them, also within scripts.
        postgres: The role that it connects as; empty: none.
    """

    reads: frozenset[Topic] = frozenset()
    writes: frozenset[Topic] = frozenset()
    has_group: bool = False
    redis: Mapping[str, frozenset[str]] = field(default_factory=dict)
    postgres: str = ""


def _commands(**families: str) -> dict[str, frozenset[str]]:
    return {family.replace("_", "-"): frozenset(commands.split()) for family, commands in families.items()}


PERMISSIONS: Final[Mapping[str, Permissions]] = {
    "market_monitor": Permissions(
        reads=frozenset({Topic.CONTROL_STATE}),
        writes=_TOLD_BY_ALL | {Topic.MARKET_TICKS, Topic.MARKET_CANDLES, Topic.MARKET_STATUS, Topic.ALERTS},
        redis=_commands(price="set"),
    ),
    "signal_generator": Permissions(
        reads=frozenset({Topic.MARKET_CANDLES, Topic.MARKET_STATUS, Topic.CONTROL_STATE}),
        writes=_TOLD_BY_ALL | {Topic.SIGNALS},
        has_group=True,
    ),
    "risk_manager": Permissions(
        reads=frozenset(
            {
                *(Topic.SIGNALS, Topic.ORDERS_UPDATES, Topic.POSITIONS, Topic.ACCOUNT_EQUITY),
                *(Topic.CONTROL, Topic.DEAD_LETTERS, Topic.ALERTS, Topic.MARKET_STATUS, Topic.HEARTBEATS),
            }
        ),
        writes=_TOLD_BY_ALL
        | {
            *(Topic.ORDERS_APPROVED, Topic.ORDERS_REFUSED, Topic.CONTROL_STATE, Topic.CONTROL_ACKS),
            *(Topic.SIGNALS, Topic.ALERTS),
        },
        redis=_commands(
            permit="get set del pttl",
            halts="exists hset hgetall hdel",
            halts_in_part="hset hgetall hdel",
            risk_fence="get set",
            risk_claims="hgetall hset hdel del",
            risk_generation="get set",
            price="get",
        ),
        postgres="risk_manager",
    ),
    "trade_executor": Permissions(
        reads=frozenset(
            {
                *(Topic.ORDERS_APPROVED, Topic.STOPS, Topic.CONTROL_STATE, Topic.CONTROL),
                *(Topic.ORDERS_UPDATES, Topic.FILLS),  # what it told before its database was restored
            }
        ),
        writes=_TOLD_BY_ALL | {Topic.ORDERS_UPDATES, Topic.FILLS, Topic.CONTROL_ACKS, Topic.ALERTS},
        redis=_commands(permit="get pttl del", halts="hset hgetall", halts_in_part="hset hgetall"),
        postgres="trade_executor",
    ),
    "position_manager": Permissions(
        reads=frozenset(
            {Topic.FILLS, Topic.ORDERS_UPDATES, Topic.MARKET_CANDLES, Topic.MARKET_TICKS, Topic.CONTROL_STATE}
        ),
        writes=_TOLD_BY_ALL | {Topic.POSITIONS, Topic.ACCOUNT_EQUITY, Topic.SIGNALS, Topic.STOPS},
        postgres="position_manager",
    ),
    "notifier": Permissions(
        reads=frozenset({Topic.ALERTS, Topic.CONTROL, Topic.CONTROL_STATE}),
        writes=_TOLD_BY_ALL | {Topic.ALERTS, Topic.CONTROL_ACKS},
        has_group=True,
        postgres="notifier",
    ),
    "audit_recorder": Permissions(reads=frozenset(Topic), writes=_TOLD_BY_ALL, postgres="audit_recorder"),
    "watchdog": Permissions(writes=_TOLD_BY_ALL | {Topic.ALERTS}),
    "trader": Permissions(
        reads=frozenset(Topic),  # `trader invariants` compares the ends of all of them with what was recorded
        writes=frozenset({Topic.CONTROL, Topic.ALERTS, Topic.DEAD_LETTERS}),  # an alert: `trader notify test`
        redis=_commands(permit="pttl del", halts="hset", halts_in_part="hset", price="mget"),
        postgres="reader",
    ),
}
"""Every process that connects to a store, by its name; the user has the same name everywhere but at Postgres."""


def secret_names() -> tuple[str, ...]:
    """Return the secret files with a password in them, sorted."""
    names = {f"kafka-{KAFKA_ADMIN}", "postgres-postgres", *(f"postgres-{role}" for role in LOGINS)}
    for name, permissions in PERMISSIONS.items():
        names.add(f"kafka-{name}")
        if permissions.redis:
            names.add(f"redis-{name}")
    return tuple(sorted(names))
