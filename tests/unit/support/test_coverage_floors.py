from typing import Any

import pytest

from tests.support.coverage_floors import Measured, by_package, package_of


def a_file(*, lines: tuple[int, int], branches: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """A file of a JSON report: how many ran, of how many."""
    return {
        "summary": {
            "covered_lines": lines[0],
            "num_statements": lines[1],
            "covered_branches": branches[0],
            "num_branches": branches[1],
        }
    }


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("libs/trading/matching/book.py", "libs/trading"),
        ("services/risk_manager/__main__.py", "services/risk_manager"),
        ("libs/__init__.py", "libs"),
        ("cli/stack/up.py", "cli"),
        ("deploy/postgres/migrations/env.py", "deploy"),
    ],
)
def test_a_file_counts_for_its_package(path: str, package: str):
    assert package_of(path) == package


def test_statements_and_both_ways_of_branches_count_alike():
    files = {
        "cli/a.py": a_file(lines=(8, 10), branches=(1, 4)),
        "cli/b/c.py": a_file(lines=(5, 5), branches=(1, 1)),
        "libs/__init__.py": a_file(lines=(0, 0)),
    }

    (cli,) = by_package(files)  # a package without statements has no share

    assert (cli.ran, cli.of, cli.pct) == (15, 20, 75.0)


def test_the_core_is_reached_whole_and_everything_else_to_nine_tenths():
    core, nearly = Measured("libs/trading", 2_000, 2_000), Measured("libs/trading", 19_999, 20_000)
    other, low = Measured("cli", 900, 1_000), Measured("cli", 899, 1_000)

    assert [each.is_low for each in (core, nearly, other, low)] == [False, True, False, True]
    assert "below its floor of 90 %" in str(low)
    assert "below" not in str(other)
