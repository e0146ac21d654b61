"""The page of the paper exchange shows what programs run, names what they are, and lists what is served."""

import re
import textwrap
from fractions import Fraction
from pathlib import Path

from libs.common.clock import SystemClock
from services.paper_exchange.exchange import Exchange
from services.paper_exchange.market.source import recorded_tape
from tests.support.documents import ROOT, blocks, rows

PAGE = (ROOT / "docs" / "paper_exchange.md").read_text(encoding="utf-8")
PROGRAMS = ROOT / "tests" / "programs"
_SHOWN = re.compile(r"^ *# docs/paper_exchange\.md\n(.*?)^ *# until here$", re.MULTILINE | re.DOTALL)


def test_each_snippet_is_what_a_program_runs():
    run = {
        textwrap.dedent(part)
        for driver in (PROGRAMS / "drivers").glob("*.py")
        for part in _SHOWN.findall(driver.read_text(encoding="utf-8"))
    }

    assert set(blocks(PAGE, "python")) == run


def test_the_versions_are_those_that_are_tested():
    named = set(re.findall(r"`([a-z-]+==[0-9.]+)`", PAGE))

    pinned = {
        line
        for path in (PROGRAMS / "requirements").glob("*.txt")
        for line in path.read_text(encoding="ascii").splitlines()
        if line.startswith(f"{path.stem}==")
    }
    assert named == pinned


def test_the_table_lists_exactly_what_is_served(tmp_path: Path):
    exchange = Exchange(
        clock=SystemClock(),
        tape=recorded_tape(["BTCUSDT"]),
        speed=Fraction(1),
        seed=1,
        journal_dir=tmp_path,
        keys=[],
    )
    served = {
        (f"`{endpoint.method} {endpoint.path}`", f"`{endpoint.ws_method}`" if endpoint.ws_method else "")
        for endpoint in exchange.server._endpoints.values()
    }
    exchange.venue.close()

    assert {(row[0], row[1]) for row in rows(PAGE) if "/v" in row[0] and row[0].startswith("`")} == served
