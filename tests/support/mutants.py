"""Mutation testing of the order path: change one thing, run the tests of that file, and tell what nobody noticed.

`python -m tests.support.mutants [--every N] [FILE ...]`. No file is written: the changed module is put in the place of
the real one when a test imports it, in a process that was forked for it.
"""

import argparse
import ast
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

import pytest

EXECUTOR: Final = ("tests/service/trade_executor", "tests/unit/order_protocol")
RISK: Final = (
    "tests/service/risk_manager/test_claims_and_failures.py",
    "tests/unit/risk_manager/test_claim_bounds.py",
    "tests/unit/order_protocol/test_order_protocol_binding.py",
    "tests/service/risk_manager",
)
TESTS: Final[Mapping[str, Sequence[str]]] = {
    "libs/trading/orders.py": (
        "tests/unit/trading/test_trading_orders.py",
        "tests/unit/risk_manager/test_claim_bounds.py",
        *EXECUTOR,
    ),
    "libs/trading/risk/last_hop.py": (
        "tests/unit/trading/test_trading_risk_controls.py",
        "tests/unit/trading/test_trading_last_hop_bounds.py",
        "tests/service/trade_executor/test_last_hop_controls.py",
    ),
    "services/risk_manager/domain/claims.py": RISK,
    "services/risk_manager/domain/limits.py": RISK,
    "services/risk_manager/adapters/redis_book.py": RISK,
    "services/trade_executor/domain/chains.py": EXECUTOR,
    "services/trade_executor/domain/children.py": EXECUTOR,
    "services/trade_executor/domain/differences.py": EXECUTOR,
    "services/trade_executor/domain/findings.py": EXECUTOR,
    "services/trade_executor/domain/holding.py": EXECUTOR,
    "services/trade_executor/domain/identifiers.py": EXECUTOR,
    "services/trade_executor/domain/orders.py": EXECUTOR,
    "services/trade_executor/domain/planning.py": EXECUTOR,
    "services/trade_executor/domain/rebuilding.py": EXECUTOR,
}
"""The files of the order path, and the fast tests that are to notice a change of each."""

LIBRARIES: Final = ("aiohttp", "aiokafka", "asyncpg", "ccxt.async_support", "hypothesis", "pydantic", "redis.asyncio")
"""Loaded once, before the processes are forked; nothing of ours may be."""

CPU_S_MAX: Final = 60
WAIT_S_MAX: Final = 600.0

_SWAPS: Final[Mapping[type[ast.AST], type[Any]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}


@dataclass(frozen=True)
class Mutant:
    """A change of one place: its line, what it says before and after, and how it is made in the tree."""

    line: int
    before: str
    make: Callable[[], ast.AST]

    def made(self) -> str:
        """Make the change and return what it says now."""
        return ast.unparse(self.make())


def mutants_of(tree: ast.Module) -> list[Mutant]:
    """Return every change of a module that is tried: comparisons, operators, conditions, numbers, returns, calls."""
    return [mutant for node in _code(tree) for mutant in _of(node)]


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs, without annotations, decorators and texts."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Import | ast.ImportFrom | ast.JoinedStr):
                yield child
                yield from _code(child)


def _of(node: ast.AST) -> Iterator[Mutant]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _SWAPS:
            yield _changing(node, "ops", [_SWAPS[type(operator)]()])
        case ast.BoolOp() | ast.BinOp() | ast.AugAssign() if type(node.op) in _SWAPS:
            yield _changing(node, "op", _SWAPS[type(node.op)]())
        case ast.If() | ast.While() | ast.IfExp():
            yield _changing(node, "test", ast.UnaryOp(ast.Not(), node.test), shown=node.test)
        case ast.comprehension(ifs=[condition]):
            yield _changing(node, "ifs", [ast.UnaryOp(ast.Not(), condition)], shown=condition)
        case ast.Constant(value=bool() | int() as value):
            yield _changing(node, "value", not value if isinstance(value, bool) else value + 1)
        case ast.Return(value=ast.AST() as value) if not isinstance(value, ast.Constant):
            yield _changing(node, "value", ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield _changing(node, "value", ast.Constant(None))


def _changing(node: Any, name: str, value: Any, *, shown: Any = None) -> Mutant:
    def make() -> ast.AST:
        setattr(node, name, value)
        return node if shown is None else ast.UnaryOp(ast.Not(), shown)

    return Mutant((shown or node).lineno if hasattr(shown or node, "lineno") else 0, ast.unparse(shown or node), make)


class _Replacing(MetaPathFinder, Loader):
    """Gives one module other code."""

    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self._module, self._path, self._code = module, path, code

    def find_spec(self, fullname: str, _: Any, __: Any = None) -> ModuleSpec | None:
        return spec_from_loader(fullname, self, origin=str(self._path)) if fullname == self._module else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)


def survives(path: Path, code: CodeType, tests: Sequence[str]) -> bool:
    """Return whether the tests pass with this code in the place of the file's."""
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        module = ".".join(path.with_suffix("").parts)
        sys.meta_path.insert(0, _Replacing(module, path, code))
        outcome = pytest.main(
            ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "-m", "not sweep", "--timeout", "60", *tests]
        )
        os._exit(0 if outcome == 0 else 1)
    ends_s = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < ends_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def search(path: Path, tests: Sequence[str], *, every: int) -> tuple[int, list[str]]:
    """Try a file's mutants, each `every`th of them, and return how many there were and those that survived."""
    source = path.read_text()
    if not survives(path, compile(source, path, "exec"), tests):
        raise SystemExit(f"{path}: expected tests that pass without a change, found some that fail")
    survivors = []
    places = range(every // 2, len(mutants_of(ast.parse(source))), every)
    for place in places:
        tree = ast.parse(source)
        mutant = mutants_of(tree)[place]
        after = mutant.made()
        if survives(path, compile(ast.fix_missing_locations(tree), path, "exec"), tests):
            survivors.append(f"{path}:{mutant.line}: {_first(mutant.before)} -> {_first(after)}")
            tell(survivors[-1])
    return len(places), survivors


def _first(text: str) -> str:
    return text.splitlines()[0]


def tell(text: str) -> None:
    """Write a line for whoever started this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Try the order path, or some of its files; return 0 whatever survives: `docs/mutants.md` explains it."""
    parser = argparse.ArgumentParser(prog="mutants")
    parser.add_argument("--every", type=int, default=1, help="try each Nth mutant only")
    parser.add_argument("files", nargs="*", help="files of the order path; all of them by default")
    options = parser.parse_args(arguments)
    for library in LIBRARIES:
        import_module(library)
    tried = survived = 0
    for name in options.files or TESTS:
        count, survivors = search(Path(name), TESTS[name], every=options.every)
        tell(f"{name}: {len(survivors)} of {count} survived")
        tried, survived = tried + count, survived + len(survivors)
    tell(f"{tried} mutants, {tried - survived} noticed, {survived} survived")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
