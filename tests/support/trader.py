"""How tests start the `trader` command: as a user does, unless the lane has it measured.

Only the command's own process is measured. What it starts is not: a traced service takes several times as long, and
end-to-end tests are about time.
"""

import os
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_DATA_FILE: Final = os.environ.get("MEASURE_TRADER")
"""Where the lane wants the measurements."""
_MEASURED: Final = (
    *("-m", "coverage", "run", f"--rcfile={os.devnull}", "--branch", "--parallel-mode", f"--data-file={_DATA_FILE}"),
    f"--source={_ROOT / 'cli'},{_ROOT / 'libs'}",
)

TRADER: Final = (sys.executable, *(_MEASURED if _DATA_FILE else ()), "-m", "cli")
"""The command line of `trader`, without its arguments."""

UNMEASURED_TRADER: Final = (sys.executable, "-m", "cli")
"""The same for what is asked again and again: measuring doubles its work and shows nothing new."""
