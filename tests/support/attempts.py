"""Tries everything that anybody could do at the stores, inside the deployment's networks; prints what was allowed.

Runs in a container of its own with every password, as `python attempts.py`; standard output is one JSON object. What is
tried is really done: the deployment that it is done to must be one of its own.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import asyncpg
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.fetch import FetchRequest
from confluent_kafka import Consumer, Producer, TopicPartition
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

SECRETS: Final = Path(os.environ.get("ATTEMPTS_SECRETS", "/all-secrets"))
KAFKA: Final = os.environ.get("ATTEMPTS_KAFKA", "kafka:9092")
REDIS_PORT: Final = int(os.environ.get("ATTEMPTS_REDIS_PORT", "6379"))
REDIS: Final = os.environ.get("ATTEMPTS_REDIS", "redis")
POSTGRES_PORT: Final = int(os.environ.get("ATTEMPTS_POSTGRES_PORT", "5432"))
DATABASE: Final = os.environ.get("ATTEMPTS_DATABASE", "trader")
POSTGRES: Final = os.environ.get("ATTEMPTS_POSTGRES", "postgres")
READ_BYTES_MAX: Final = 65_536
ANSWER_S_MAX: Final = 60.0
STATEMENTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "set": ("1",),
    "hset": ("field", "1"),
    "hdel": ("field",),
    "hget": ("field",),
    "expire": ("100",),
    "rename": ("elsewhere",),
}
"""What a command of Redis takes after the key."""


def password(name: str) -> str:
    return (SECRETS / name).read_text(encoding="utf-8").strip()


def login(user: str, own: str | None = None) -> dict[str, Any]:
    return {
        "bootstrap.servers": KAFKA,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": own if own is not None else password(f"kafka-{user}"),
        "log_level": 0,
    }


def kafka_writes(user: str, topics: list[str]) -> dict[str, str]:
    """Write a record to each topic; return what became of each: "" or the error's name."""
    producer = Producer({**login(user), "acks": "all", "message.timeout.ms": int(ANSWER_S_MAX * 1_000)})
    outcomes: dict[str, str] = {}

    def delivered(error: Any, message: Any) -> None:
        outcomes[message.topic()] = "" if error is None else error.name()

    for topic in topics:
        producer.produce(topic, b"{}", partition=0, on_delivery=delivered)
    producer.flush(ANSWER_S_MAX)
    return {topic: outcomes.get(topic, "NO ANSWER") for topic in topics}


async def kafka_answers(user: str, topics: list[str], groups: list[str]) -> dict[str, dict[str, str]]:
    """Read each topic from its beginning and ask for each group's coordinator; return what became of each.

    The requests are sent bare: the clients' own consumers keep asking in silence where they are refused. Who may read
    as a group may ask for its coordinator, and nobody is given the one without the other.
    """
    client = AIOKafkaClient(
        bootstrap_servers=KAFKA,
        client_id=user,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=user,
        sasl_plain_password=password(f"kafka-{user}"),
    )
    await client.bootstrap()
    try:
        wanted = [(topic, [(0, 0, READ_BYTES_MAX)]) for topic in topics]
        answer = await client.send(
            client.get_random_node(), FetchRequest(1_000, 1, READ_BYTES_MAX * len(topics), 0, wanted)
        )
        reads = {topic: "" if code == 0 else for_code(code).__name__ for topic, ((_, code, *_),) in answer.topics}
        memberships: dict[str, str] = {}
        for group in groups:
            try:
                await client.coordinator_lookup(CoordinationType.GROUP, group)
            except KafkaError as error:
                memberships[group] = type(error).__name__
            else:
                memberships[group] = ""
    finally:
        await client.close()
    return {"reads": reads, "groups": memberships}


def kafka_strangers() -> dict[str, str]:
    """Return what becomes of a user with a wrong password and of one that nobody knows."""
    outcomes: dict[str, str] = {}
    for user in ("watchdog", "stranger"):
        errors: list[str] = []
        consumer = Consumer(
            {**login(user, "wrong"), "group.id": "x", "error_cb": lambda error, seen=errors: seen.append(error.name())}
        )
        consumer.assign([TopicPartition("alerts", 0, 0)])
        message = None
        for _ in range(int(ANSWER_S_MAX)):
            if errors or message is not None:
                break
            message = consumer.poll(1.0)
        outcomes[user] = ",".join(sorted(set(errors))) if message is None or message.error() else "READ"
        consumer.close()
    return outcomes


def redis_commands(user: str, keys: dict[str, str], commands: list[str]) -> dict[str, dict[str, bool]]:
    """Give every command about a key of every family; return which were allowed."""
    client = Redis(
        host=REDIS, port=REDIS_PORT, username=user, password=password(f"redis-{user}"), socket_timeout=ANSWER_S_MAX
    )
    return {
        family: {command: redis_allows(client, command, key) for command in commands} for family, key in keys.items()
    }


def redis_allows(client: Any, command: str, *arguments: str) -> bool:
    try:
        client.execute_command(command, *arguments, *ARGUMENTS.get(command, ()))
    except NoPermissionError:
        return False
    except ResponseError:
        pass  # allowed, and refused for another reason: the type of the key's content
    return True


def redis_beyond(user: str | None) -> dict[str, bool]:
    """Give commands that are nobody's; return which were allowed."""
    own: dict[str, Any] = {"username": user, "password": password(f"redis-{user}")} if user is not None else {}
    client = Redis(host=REDIS, port=REDIS_PORT, socket_timeout=ANSWER_S_MAX, **own)
    beyond = {
        "keys": ("keys", "*"),
        "scan": ("scan", "0"),
        "config get": ("config", "get", "dir"),
        "acl list": ("acl", "list"),
        "eval": ("eval", "return 1", "0"),
        "flushall": ("flushall",),
        "get of nobody's": ("get", "elsewhere"),
        "script on nobody's": ("evalsha", "0" * 40, "1", "elsewhere"),
        "publish": ("publish", "channel", "text"),
    }
    return {name: redis_allows(client, *command) for name, command in beyond.items()}


def redis_without_user(name: str) -> bool:
    """Return whether a process that uses no Redis can log in, with any password of its own."""
    client = Redis(
        host=REDIS, port=REDIS_PORT, username=name, password=password(f"kafka-{name}"), socket_timeout=ANSWER_S_MAX
    )
    try:
        client.ping()
    except AuthenticationError:
        return False
    return True


async def postgres(role: str, owner: Any) -> dict[str, dict[str, bool]]:
    """Do everything to every table and view in transactions that are undone; return what was allowed."""
    connection = await asyncpg.connect(
        host=POSTGRES,
        port=POSTGRES_PORT,
        database=DATABASE,
        user=role,
        password=password(f"postgres-{role}"),
        timeout=ANSWER_S_MAX,
    )
    tables = await owner.fetch(
        "SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, (SELECT a.attname FROM pg_attribute a"
        " WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attgenerated = '' ORDER BY a.attnum DESC LIMIT 1) AS last"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^(pg_|information_schema)' ORDER BY 1, 2"
    )
    allowed: dict[str, dict[str, bool]] = {}
    for schema, name, kind, last in tables:
        table = f'"{schema}"."{name}"'
        statements = {
            "SELECT": f"SELECT 1 FROM {table} LIMIT 1",
            "INSERT": f"INSERT INTO {table} DEFAULT VALUES",
            "UPDATE": f'UPDATE {table} SET "{last}" = DEFAULT',
            "DELETE": f"DELETE FROM {table}",
            "TRUNCATE": f"TRUNCATE {table}",
        }
        skipped = {"TRUNCATE"} if kind == "v" else set()
        allowed[f"{schema}.{name}"] = {
            statement: await postgres_allows(connection, text)
            for statement, text in statements.items()
            if statement not in skipped
        }
    await connection.close()
    return allowed


async def postgres_allows(connection: Any, statement: str) -> bool:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    except (asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.FeatureNotSupportedError):
        return False  # a view that nobody can write
    except asyncpg.PostgresError:
        return True  # allowed, and refused for another reason: a constraint
    finally:
        await transaction.rollback()
    return True


async def postgres_powers(role: str) -> dict[str, bool]:
    """Do what only an owner may; return what was allowed."""
    connection = await asyncpg.connect(
        host=POSTGRES,
        port=POSTGRES_PORT,
        database=DATABASE,
        user=role,
        password=password(f"postgres-{role}"),
        timeout=ANSWER_S_MAX,
    )
    powers = {
        "create in public": "CREATE TABLE public.attempt (a int)",
        "create schema": "CREATE SCHEMA attempt",
        "create role": "CREATE ROLE attempt",
        "become the owner": "SET ROLE postgres",
        "read files": "SELECT pg_read_file('/etc/passwd')",
        "drop the trigger": "DROP TRIGGER audit_log_is_append_only ON audit_recorder.audit_log",
    }
    allowed = {name: await postgres_allows(connection, statement) for name, statement in powers.items()}
    await connection.close()
    return allowed


async def main() -> None:
    """Try everything that standard input asks for."""
    asked = json.load(sys.stdin)
    owner = await asyncpg.connect(
        host=POSTGRES, port=POSTGRES_PORT, database=DATABASE, user="postgres", password=password("postgres-postgres")
    )
    kafka_writes("admin", asked["topics"])  # so that there is something to read
    found = {
        "kafka": {
            user: {
                "writes": kafka_writes(user, asked["topics"]),
                **await kafka_answers(user, asked["topics"], asked["groups"]),
            }
            for user in asked["users"]
        },
        "kafka strangers": kafka_strangers(),
        "redis": {user: redis_commands(user, asked["keys"], asked["commands"]) for user in asked["redis users"]},
        "redis beyond": {str(user): redis_beyond(user) for user in (None, *asked["redis users"])},
        "redis without user": {name: redis_without_user(name) for name in asked["no redis users"]},
        "postgres": {role: await postgres(role, owner) for role in asked["roles"]},
        "postgres powers": {role: await postgres_powers(role) for role in asked["roles"]},
    }
    json.dump(found, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # librdkafka's threads may take their time


if __name__ == "__main__":
    asyncio.run(main())
