"""The arrows between the packages hold."""

import subprocess
import sys

from tests.support.source import ROOT


def test_the_import_contracts_hold() -> None:
    linter = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"]
    checked = subprocess.run(linter, cwd=ROOT, capture_output=True, check=False, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr
