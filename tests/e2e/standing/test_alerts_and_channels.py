"""A running stack is asked whether its messages arrive, and told that somebody knows."""

from tests.support.stack import StackUnderTest


def test_a_test_message_arrives_and_is_listed_and_can_be_acknowledged(standing: StackUnderTest):
    tried = standing.ask("notify", "test")

    assert tried["channels"] == [{"channel": "dashboard", "state": "SENT", "reason": ""}]
    listed = {alert["id"]: alert for alert in standing.ask("alerts", "--limit", "50")["alerts"]}
    assert listed[tried["id"]]["event_id"] == tried["event_id"]
    assert listed[tried["id"]]["deliveries"]["dashboard"] == "SENT"
    answered = standing.ask("alerts", "ack", tried["id"])
    assert (answered["event_id"], answered["note"]) == (tried["event_id"], "acknowledged by operator")


def test_a_channel_without_an_address_is_found_by_its_test(standing: StackUnderTest):
    tried = standing.ask("notify", "test", "--channel", "telegram", status=6)

    assert tried["channels"] == [{"channel": "telegram", "state": "SUPPRESSED", "reason": "CHANNEL_UNAVAILABLE"}]
