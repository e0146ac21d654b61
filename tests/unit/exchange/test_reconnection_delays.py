from random import Random

from hypothesis import given
from hypothesis import strategies as st

from libs.exchange.backoff import Backoff

DELAYS_S = (0.1, 1.0, 8.0)


@given(st.integers(), st.integers(1, 20))
def test_a_wait_lies_between_half_its_delay_and_all_of_it(seed: int, attempts: int):
    backoff = Backoff(DELAYS_S, randomness=Random(seed))
    waits_s = [backoff.next_s() for _ in range(attempts)]

    for wait_s, delay_s in zip(waits_s, (*DELAYS_S, *[8.0] * attempts), strict=False):
        assert delay_s / 2 <= wait_s <= delay_s


def test_success_begins_with_the_first_delay_again():
    backoff = Backoff(DELAYS_S, randomness=Random(1))
    for _ in range(5):
        backoff.next_s()
    backoff.reset()

    assert backoff.next_s() <= 0.1


def test_two_who_lost_the_same_server_do_not_come_back_together():
    assert Backoff(DELAYS_S, randomness=Random(1)).next_s() != Backoff(DELAYS_S, randomness=Random(2)).next_s()
