"""Kafka's users and access lists, brought in line with the table of permissions.

Invariant: what the table does not allow is taken away again; only the broker's own user needs no entry.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from libs.common.errors import RetryableError
from libs.common.permissions import KAFKA_ADMIN, PERMISSIONS

ANSWER_S_MAX: Final = 30.0
SCRAM_ITERATIONS: Final = 8_192


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One line of the access lists: a user may do something to one topic or group."""

    user: str
    resource: str
    name: str
    operation: str


def entries(topic_prefix: str = "") -> frozenset[Entry]:
    """Return the whole access lists; reading and writing include asking about the same topic."""
    lists: set[Entry] = set()
    for user, permissions in PERMISSIONS.items():
        lists |= {Entry(user, "TOPIC", topic_prefix + topic.value, "READ") for topic in permissions.reads}
        lists |= {Entry(user, "TOPIC", topic_prefix + topic.value, "WRITE") for topic in permissions.writes}
        if permissions.has_group:
            lists.add(Entry(user, "GROUP", topic_prefix + user, "READ"))
    return frozenset(lists)


def apply_access(
    *, bootstrap_servers: str, password: Callable[[str], str], topic_prefix: str = ""
) -> tuple[int, int, int]:
    """Set the users' passwords and access lists; return how many users, entries added and entries removed.

    Args:
        bootstrap_servers: The listener where the broker's own user logs in.
        password: Returns a user's password.
        topic_prefix: Put before every topic's and group's name.

    Raises:
        RetryableError: The cluster cannot be reached or refuses.
    """
    from confluent_kafka import KafkaException  # noqa: PLC0415 - only this job needs it

    api = _api()
    admin = api.AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": KAFKA_ADMIN,
            "sasl.password": password(KAFKA_ADMIN),
            "log_level": 0,
        }
    )
    scram = api.ScramCredentialInfo(api.ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
    users = [KAFKA_ADMIN, *PERMISSIONS]
    everything = api.AclBindingFilter(
        *(api.ResourceType.ANY, None, api.ResourcePatternType.ANY, None, None),
        *(api.AclOperation.ANY, api.AclPermissionType.ANY),
    )
    try:
        _await_all(
            admin.alter_user_scram_credentials(
                [api.UserScramCredentialUpsertion(user, scram, password(user).encode()) for user in users],
                request_timeout=ANSWER_S_MAX,
            )
        )
        found = {_entry(binding): binding for binding in admin.describe_acls(everything).result(ANSWER_S_MAX)}
        wanted = entries(topic_prefix)
        added = [_binding(entry) for entry in sorted(wanted - found.keys())]
        removed = [_filter(binding) for entry, binding in found.items() if entry not in wanted]
        if added:
            _await_all(admin.create_acls(added, request_timeout=ANSWER_S_MAX))
        if removed:
            _await_all(admin.delete_acls(removed, request_timeout=ANSWER_S_MAX))
    except KafkaException as error:
        raise RetryableError(f"Kafka at {bootstrap_servers}: expected users and access lists, found {error}") from error
    return len(users), len(added), len(removed)


def _await_all(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        future.result(ANSWER_S_MAX)


def _api() -> Any:
    """Return the client's administration, which says nothing of its types."""
    return importlib.import_module("confluent_kafka.admin")


def _binding(entry: Entry) -> Any:
    api = _api()
    return api.AclBinding(
        *(api.ResourceType[entry.resource], entry.name, api.ResourcePatternType.LITERAL, f"User:{entry.user}", "*"),
        *(api.AclOperation[entry.operation], api.AclPermissionType.ALLOW),
    )


def _filter(binding: Any) -> Any:
    return _api().AclBindingFilter(
        *(binding.restype, binding.name, binding.resource_pattern_type, binding.principal, binding.host),
        *(binding.operation, binding.permission_type),
    )


def _entry(binding: Any) -> Entry | tuple[str, ...]:
    """Return what an entry of the cluster says; of one that is none of ours, something that equals none of ours."""
    plain = binding.resource_pattern_type.name == "LITERAL" and binding.permission_type.name == "ALLOW"
    if not plain or binding.host != "*" or not binding.principal.startswith("User:"):
        return (str(binding),)
    user = binding.principal.removeprefix("User:")
    return Entry(user, binding.restype.name, binding.name, binding.operation.name)
