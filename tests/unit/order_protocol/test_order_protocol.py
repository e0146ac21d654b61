"""The order protocol, searched exhaustively: which ways to send orders fail, and that ours does not.

docs/money_path.md has the figures, and is held to them; `pytest tests/unit/order_protocol -rP` prints them.
"""

from dataclasses import replace

import pytest

from tests.support.documents import ROOT
from tests.unit.order_protocol.money_path_page import figure, paths_run, told
from tests.unit.order_protocol.protocol_policies import (
    BLIND_RETRY,
    COUNT_NOT_FOUNDS,
    FENCE,
    PLANTED,
    PROTOCOL,
    QUERY_THEN_RESEND,
    SEND_THEN_LOG,
    Policy,
)
from tests.unit.order_protocol.protocol_search import Found, search
from tests.unit.order_protocol.protocol_state import Setting, State
from tests.unit.order_protocol.protocol_world import World

EASY = Setting(crashes=1, freezes=0, clock_steps=0)
"""Where the naive policies fail already."""

TWO_INTENTS = Setting(groups=((0,), (1,)), crashes=1, freezes=0, clock_steps=0)
ORDER_LIST = Setting(groups=((0, 1),), crashes=1, freezes=0, clock_steps=0)


def searched(policy: Policy, setting: Setting, *until: str) -> Found[State]:
    world = World(setting, policy)
    found = search(
        world.initial(),
        world.steps,
        wrong=world.wrong,
        is_settled=world.is_settled,
        remarkable=world.remarkable,
        until=frozenset(until),
    )
    delay = "bounded" if setting.bounded else "unbounded"
    print(f"{policy.name}, {delay} delay: {figure(found.states, found.traces)}")  # noqa: T201 - the figures
    return found


def stands_on_the_page(name: str, setting: Setting, found: Found[State]) -> bool:
    bounded, unbounded = told(name)
    return figure(found.states, found.traces) == (bounded if setting.bounded else unbounded)


@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "unbounded"])
@pytest.mark.parametrize(
    ("policy", "mistakes"),
    [
        (SEND_THEN_LOG, {"duplicate", "orphan"}),
        (BLIND_RETRY, {"duplicate"}),
        (QUERY_THEN_RESEND, {"duplicate"}),
        (COUNT_NOT_FOUNDS, {"wrong verdict"}),
    ],
    ids=lambda value: value.name if isinstance(value, Policy) else "",
)
def test_the_usual_ways_to_send_an_order_fail_with_one_crash(policy, mistakes, bounded):
    setting = replace(EASY, bounded=bounded)

    found = searched(policy, setting, *mistakes)

    assert set(found.traces) == mistakes
    assert stands_on_the_page(policy.name, setting, found)
    for mistake in sorted(mistakes):
        print(f"  {mistake}: {'; '.join(found.traces[mistake])}")  # noqa: T201 - the counterexample


@pytest.mark.sweep
@pytest.mark.parametrize("policy", [FENCE, PROTOCOL], ids=lambda policy: policy.name)
def test_the_fence_holds_where_the_exchange_keeps_its_bounds(policy):
    found = searched(policy, Setting())

    assert found.traces == {}
    assert found.unsettled is None
    assert stands_on_the_page(policy.name, Setting(), found)


@pytest.mark.sweep
def test_the_fence_alone_is_wrong_where_an_order_comes_late():
    setting = Setting(bounded=False)

    found = searched(FENCE, setting)

    assert set(found.traces) == {"wrong verdict"}
    assert stands_on_the_page(FENCE.name, setting, found)


@pytest.mark.sweep
def test_the_protocol_holds_where_an_order_comes_late_and_a_late_fill_is_adopted_protected_and_alarmed():
    setting = Setting(bounded=False)

    found = searched(PROTOCOL, setting)

    assert found.traces == {}
    assert found.unsettled is None  # settled means adopted, protected, and alarmed if it had been given up
    assert "a late fill" in found.seen
    assert stands_on_the_page(PROTOCOL.name, setting, found)


@pytest.mark.sweep
def test_only_a_late_fill_brings_exposure_beyond_the_cap():
    without_bounds = replace(TWO_INTENTS, bounded=False)

    kept, exceeded = searched(PROTOCOL, TWO_INTENTS), searched(PROTOCOL, without_bounds)

    for setting, found in ((TWO_INTENTS, kept), (without_bounds, exceeded)):
        assert found.traces == {}  # "exposure" and "double count" are among what would be
        assert found.unsettled is None
        assert stands_on_the_page(f"{PROTOCOL.name}, two intents", setting, found)
    assert set(kept.seen) == {"a release"}
    assert "a late fill beyond the cap" in exceeded.seen


@pytest.mark.sweep
@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "unbounded"])
def test_the_legs_of_a_list_come_to_the_verdict_of_their_one_request(bounded):
    setting = replace(ORDER_LIST, bounded=bounded)

    found = searched(PROTOCOL, setting)

    assert found.traces == {}
    assert found.unsettled is None
    assert stands_on_the_page(f"{PROTOCOL.name}, an order list", setting, found)


@pytest.mark.parametrize(
    ("mistake", "wrong", "setting"),
    [
        ("a fence that leaves out one of its terms", "wrong verdict", EASY),
        ("a fence by the host's clock", "wrong verdict", replace(EASY, clock_steps=1)),
        ("one not-found is enough", "wrong verdict", EASY),
        ("writes without the epoch", "duplicate", replace(EASY, crashes=0, freezes=1)),
        ("writes without the epoch", "lost order", replace(EASY, crashes=0, freezes=1)),
        ("a start that takes for unsent what it did not send", "wrong verdict", EASY),
        ("an unknown order that does not count", "exposure", TWO_INTENTS),
    ],
)
def test_a_mistake_in_the_protocol_is_found(mistake, wrong, setting):
    found = searched(PLANTED[mistake], setting, wrong)

    assert wrong in found.traces
    assert wrong in told(mistake)[0].split(", ")
    print(f"  {mistake}: {wrong}: {'; '.join(found.traces[wrong])}")  # noqa: T201 - the counterexample


def test_a_second_order_of_an_intent_is_told_with_the_way_to_it():
    trace = searched(BLIND_RETRY, EASY, "duplicate").traces["duplicate"]

    assert trace[0] == "risk manager approves 0"
    assert sum(step.startswith("owner sends") for step in trace) == 2
    assert trace[-1] == "engine accepts 0"


def test_the_commands_of_the_page_run_tests_that_exist():
    assert paths_run()
    assert all((ROOT / path).exists() for path in paths_run())
