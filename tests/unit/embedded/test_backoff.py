from libs.embedded.backoff import Backoff

backoff = Backoff(first_s=0.2, longest_s=10.0, calm_s=30.0)


def test_delays_double_up_to_the_longest() -> None:
    assert [backoff.delay_s(crashes) for crashes in (1, 2, 3, 6, 7, 1_000_000)] == [0.2, 0.4, 0.8, 6.4, 10.0, 10.0]


def test_crashes_are_counted_until_a_life_of_exactly_the_calm_time() -> None:
    assert backoff.crashes_in_a_row(4, lived_s=29.9) == 5
    assert backoff.crashes_in_a_row(4, lived_s=30.0) == 1
