"""The exit of a protected position, searched exhaustively: never more is sold than was bought."""

import pytest

from tests.unit.order_protocol.exits_model import PLANTED, Exit, ExitModel, ExitPolicy
from tests.unit.order_protocol.money_path_page import PAGE, figure, told
from tests.unit.order_protocol.protocol_search import Found, search


def searched(name: str, policy: ExitPolicy, *until: str) -> Found[Exit]:
    model = ExitModel(policy)
    found = search(Exit(), model.steps, wrong=model.wrong, is_settled=model.is_settled, until=frozenset(until))
    print(f"{name}: {figure(found.states, found.traces)}")  # noqa: T201 - the figures
    return found


def test_cancel_then_final_state_then_sale_never_sells_too_much_and_always_ends():
    found = searched("cancel, final state, sale of what remains", ExitPolicy())

    assert found.traces == {}
    assert found.unsettled is None
    assert f"{found.states} states, never more sold" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_mistake_in_the_exit_sells_more_than_was_held(mistake):
    found = searched(mistake, PLANTED[mistake], "more sold than held")

    assert set(found.traces) == {"more sold than held"}
    assert "more sold than held" in told(mistake)[0].split(", ")
