from hypothesis import given
from hypothesis import strategies as st

from libs.common.byte_planes import from_planes, to_planes


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_signed_numbers_are_read_as_they_were_written(values: list[int]):
    assert list(from_planes(to_planes(values, "i"), "i")) == values


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_unsigned_numbers_are_read_as_they_were_written(values: list[int]):
    assert list(from_planes(to_planes(values, "I"), "I")) == values


def test_the_low_bytes_come_first():
    assert to_planes([0x04030201, 0x08070605], "I") == bytes([1, 5, 2, 6, 3, 7, 4, 8])
