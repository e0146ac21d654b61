"""What everybody may do at the stores, as attempts (`tests.support.attempts`) and as what must come of each."""

from pathlib import Path
from typing import Any

import pytest

from libs.common.contracts.topics import TopicName
from libs.common.permissions import PERMISSIONS, REDIS_FAMILIES
from libs.common.storage.migrations import ROLES

ATTEMPTS = Path(__file__).with_name("attempts.py")
REFUSED_WRITE = "TOPIC_AUTHORIZATION_FAILED"
REFUSED_READ = "TopicAuthorizationFailedError"
REFUSED_GROUP = "GroupAuthorizationFailedError"
REDIS_USERS = [name for name, permissions in PERMISSIONS.items() if permissions.redis]
COMMANDS = sorted(
    {command for permissions in PERMISSIONS.values() for own in permissions.redis.values() for command in own}
    | {"expire", "rename", "hget", "dump", "type", "unlink", "hlen", "strlen", "incr"}
)
WRITTEN = {"SELECT": True, "INSERT": True, "UPDATE": True, "DELETE": True, "TRUNCATE": False}
READ = {"SELECT": True, "INSERT": False, "UPDATE": False, "DELETE": False}
READ_BY_OTHERS = {"reading.differences": {"risk_manager"}}


def everything() -> dict[str, Any]:
    """Return what is to be tried: every cell."""
    return {
        "users": list(PERMISSIONS),
        "topics": [topic.value for topic in TopicName],
        "groups": list(PERMISSIONS),
        "redis users": REDIS_USERS,
        "no redis users": sorted(PERMISSIONS.keys() - set(REDIS_USERS)),
        "keys": {family: pattern.replace("*", "main") for family, pattern in REDIS_FAMILIES.items()},
        "commands": COMMANDS,
        "roles": list(ROLES),
    }


class PermissionMatrix:
    """The tests; whoever derives from it has the fixture `found`, what the attempts printed."""

    @pytest.mark.parametrize("user", PERMISSIONS)
    def test_a_process_writes_to_its_topics_alone(self, found: dict[str, Any], user: str):
        assert found["kafka"][user]["writes"] == {
            topic.value: "" if topic in PERMISSIONS[user].writes else REFUSED_WRITE for topic in TopicName
        }

    @pytest.mark.parametrize("user", PERMISSIONS)
    def test_a_process_reads_its_topics_alone(self, found: dict[str, Any], user: str):
        assert found["kafka"][user]["reads"] == {
            topic.value: "" if topic in PERMISSIONS[user].reads else REFUSED_READ for topic in TopicName
        }

    @pytest.mark.parametrize("user", PERMISSIONS)
    def test_a_process_is_in_its_group_alone(self, found: dict[str, Any], user: str):
        for group, outcome in found["kafka"][user]["groups"].items():
            allowed = group == user and PERMISSIONS[user].has_group
            assert (outcome != REFUSED_GROUP) == allowed, (group, outcome)

    def test_nobody_is_let_in_without_the_right_password(self, found: dict[str, Any]):
        assert set(found["kafka strangers"]) == {"watchdog", "stranger"}
        for outcome in found["kafka strangers"].values():
            assert "_AUTHENTICATION" in outcome

    @pytest.mark.parametrize("user", REDIS_USERS)
    def test_a_process_gives_its_commands_about_its_families_alone(self, found: dict[str, Any], user: str):
        assert found["redis"][user] == {
            family: {command: command in PERMISSIONS[user].redis.get(family, ()) for command in COMMANDS}
            for family in REDIS_FAMILIES
        }

    def test_commands_that_are_nobodys_are_refused(self, found: dict[str, Any]):
        assert {
            user: [name for name, allowed in beyond.items() if allowed]
            for user, beyond in found["redis beyond"].items()
        } == {user: [] for user in ("None", *REDIS_USERS)}

    def test_a_process_without_redis_cannot_log_in(self, found: dict[str, Any]):
        assert set(found["redis without user"].values()) == {False}

    @pytest.mark.parametrize("role", ROLES)
    def test_a_role_uses_its_tables_alone(self, found: dict[str, Any], role: str):
        for table, allowed in found["postgres"][role].items():
            schema = table.partition(".")[0]
            if table == "audit_recorder.audit_log":
                expected = dict.fromkeys(WRITTEN, False) | {"INSERT": role == "audit_recorder"}
            elif schema == "reading":
                can_read = role == "reader" or role in READ_BY_OTHERS.get(table, ())
                expected = {**READ, "SELECT": can_read}
            elif schema == "months":  # the parts of divided tables, and a view of them
                expected = dict.fromkeys(allowed, False)
            else:
                expected = WRITTEN if schema == role else dict.fromkeys(WRITTEN, False)
            assert allowed == expected, (table, allowed)

    def test_every_schema_was_tried(self, found: dict[str, Any]):
        for tables in found["postgres"].values():
            assert {table.partition(".")[0] for table in tables} == {*ROLES, "reading", "months", "public"} - {"reader"}
            assert len(tables) > 60

    @pytest.mark.parametrize("role", ROLES)
    def test_a_role_has_no_power_beyond_its_tables(self, found: dict[str, Any], role: str):
        assert not any(found["postgres powers"][role].values())
