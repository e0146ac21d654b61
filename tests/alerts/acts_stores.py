"""What is done to the stores: locks, limits, freezes, losses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from deploy.monitoring import limits
from tests.alerts.provocation import Act, Provocation
from tests.alerts.scene import Scene, now_s

_AUDIT: Final = "audit_recorder.audit_log"
_EQUITY: Final = "position_manager.equity_snapshots"
_HELD_S: Final = 1.2
_FREE_S: Final = 0.3
_PULSES_S: Final = 130.0
_SESSION_S: Final = 3.0
"""The controller gives a broker up by then (`broker.session.timeout.ms` of the embedded broker)."""


@asynccontextmanager
async def _locked(scene: Scene, *tables: str) -> AsyncIterator[None]:
    """Hold tables as somebody does who changes them and does not come to an end."""
    connection = await asyncpg.connect(scene.arena.stack.addresses.postgres)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def _tables_are_locked_for_a_moment(scene: Scene) -> None:
    async def hold() -> None:
        ends_s = now_s() + _PULSES_S
        while now_s() < ends_s:
            async with _locked(scene, _AUDIT):
                await asyncio.sleep(_HELD_S)
            await asyncio.sleep(_FREE_S)

    holding = asyncio.ensure_future(hold())
    try:
        scene.begin("HandlingSlow")
        await scene.until_told("HandlingSlow")
    finally:
        holding.cancel()
        await asyncio.wait({holding})


async def _tables_are_locked(scene: Scene) -> None:
    anchors = scene.arena.stack.directory.root / "anchors" / "audit.jsonl"
    kept = anchors.with_suffix(".kept")
    anchors.rename(kept)
    anchors.mkdir()
    try:
        scene.begin("AnchorsOld")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_nobody_records(scene))
            tasks.create_task(_connections_run_out(scene))
            tasks.create_task(_memory_runs_out(scene))
        await scene.until_told("AnchorsOld")
    finally:
        anchors.rmdir()
        kept.rename(anchors)


async def _nobody_records(scene: Scene) -> None:
    async with _locked(scene, _AUDIT, _EQUITY):
        scene.begin("EquityStale", "ConsumerStalled", "AuditStalled")
        await scene.until_told("EquityStale", "ConsumerStalled", "AuditStalled")


async def _connections_run_out(scene: Scene) -> None:
    async with AsyncExitStack() as stack:
        while True:
            connection = await asyncpg.connect(scene.arena.stack.addresses.postgres)
            stack.push_async_callback(connection.close)
            count = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL")
            if count > 100 * limits.CONNECTIONS_USED + 5:
                break
        scene.begin("PostgresConnectionsHigh")
        await scene.until_told("PostgresConnectionsHigh")


async def _memory_runs_out(scene: Scene) -> None:
    client: Redis = Redis.from_url(scene.arena.stack.addresses.redis)
    try:
        before = (await client.config_get("maxmemory"))["maxmemory"]
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", int(used * 1.06))
        try:
            scene.begin("RedisMemoryHigh")
            await scene.until_told("RedisMemoryHigh")
        finally:
            await client.config_set("maxmemory", before or 0)
    finally:
        await client.aclose()


async def _stores_freeze(scene: Scene) -> None:
    for store, alert in (("redis", "RedisDown"), ("postgres", "PostgresDown")):
        frozen = scene.arena.freeze(store)
        try:
            scene.begin(alert)
            await scene.until_told(alert)
        finally:
            scene.arena.thaw(frozen)
        await scene.until_ready()


async def _broker_freezes(scene: Scene) -> None:
    frozen = scene.broker.freeze()
    try:
        scene.begin("OutboxStuck", "KafkaDown")
        await scene.until_told("OutboxStuck", "KafkaDown")
    finally:
        scene.arena.thaw(frozen)


async def _second_broker_is_lost(scene: Scene) -> None:
    second = await scene.broker.second()
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.broker.address)
    try:
        await admin.start()
        topics = [NewTopic("lone", -1, -1, replica_assignments={0: [2]})]
        topics.append(NewTopic("pair", -1, -1, replica_assignments={0: [1, 2]}))

        async def are_there() -> bool:
            try:
                await admin.create_topics(topics)
                described: list[dict[str, Any]] = await admin.describe_topics(["lone", "pair"])
            except KafkaError:
                return False
            return all(
                partition["leader"] >= 0 and len(partition["isr"]) == len(partition["replicas"])
                for topic in described
                for partition in topic["partitions"]
            )

        await scene.until(are_there, seconds=90, what="two topics on a second broker")
        scene.watch(("kafka", second.metrics))
        second.program.kill()
        scene.begin("KafkaPartitionsOffline", "KafkaUnderReplicated", "KafkaBrokerDown")
        await scene.until_told("KafkaPartitionsOffline", "KafkaUnderReplicated", "KafkaBrokerDown")
        await admin.delete_topics(["lone", "pair"])
    finally:
        scene.watch()
        await second.program.stop()
        await admin.close()


HANDLING: Final = Act(
    "handling",
    {"HandlingSlow": Provocation("the audit log is locked for 1.2 s again and again", reached_s=10)},
    _tables_are_locked_for_a_moment,
)
LOCKS: Final = Act(
    "locks",
    {
        "EquityStale": Provocation("the table of equity is locked", reached_s=limits.EQUITY_AGE_S),
        "ConsumerStalled": Provocation("the audit log is locked", reached_s=15),
        "AuditStalled": Provocation("the audit log is locked", reached_s=60),
        "AnchorsOld": Provocation("the anchors' file cannot be written", reached_s=limits.ANCHOR_AGE_S),
        "PostgresConnectionsHigh": Provocation("somebody holds connections"),
        "RedisMemoryHigh": Provocation("Redis has hardly more memory than it uses"),
    },
    _tables_are_locked,
)
STORES: Final = Act(
    "stores",
    {"RedisDown": Provocation("Redis is frozen"), "PostgresDown": Provocation("Postgres is frozen")},
    _stores_freeze,
)
KAFKA: Final = Act(
    "kafka",
    {
        "OutboxStuck": Provocation("Kafka is frozen", reached_s=limits.OUTBOX_S),
        "KafkaDown": Provocation("Kafka is frozen"),
    },
    _broker_freezes,
)
BROKERS: Final = Act(
    "brokers",
    {
        "KafkaPartitionsOffline": Provocation("the only broker of a partition is killed", reached_s=_SESSION_S),
        "KafkaUnderReplicated": Provocation("one of two brokers of a partition is killed", reached_s=_SESSION_S),
        "KafkaBrokerDown": Provocation("one of two brokers is killed"),
    },
    _second_broker_is_lost,
)
