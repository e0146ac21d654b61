from typing import Any

import pytest

from libs.common.configuration.mistakes import shown


def nested() -> list[Any]:
    outer: list[Any] = []
    for _ in range(100_000):
        outer = [outer]
    return outer


@pytest.mark.parametrize(
    ("value", "text"),
    [(nested(), "list of an unusual size"), (10**5_000, "int of an unusual size")],
    ids=["nested", "long"],
)
def test_a_value_that_cannot_be_written_is_told_by_its_kind(value: Any, text: str):
    assert shown(value) == text
