"""What the mutation tool changes in a module."""

import ast
from textwrap import dedent

from tests.support.mutants import mutants_of


def changes_of(source: str) -> list[str]:
    """Return every change of a module, each made in a tree of its own."""
    source = dedent(source)
    changes = []
    for place in range(len(mutants_of(ast.parse(source)))):
        tree = ast.parse(source)
        mutant = mutants_of(tree)[place]
        changes.append(f"{mutant.line}: {mutant.before} -> {mutant.made()}")
        compile(ast.fix_missing_locations(tree), "changed", "exec")
    return changes


def test_comparisons_operators_conditions_numbers_returns_and_calls_are_changed():
    assert changes_of(
        """
        def judge(a: int = 1) -> bool:
            if a < 2:
                note(a)
            return a + 1
        """
    ) == [
        "2: 1 -> 2",
        "3: a < 2 -> not a < 2",
        "3: a < 2 -> a <= 2",
        "3: 2 -> 3",
        "4: note(a) -> None",
        "5: return a + 1 -> return None",
        "5: a + 1 -> a - 1",
        "5: 1 -> 2",
    ]


def test_texts_and_annotations_are_left_alone():
    assert changes_of('"""A text."""\nname: Literal[1] | None = "a"\n') == []
