"""The environment of a process that a measured test starts and whose lines other tests run in their own process.

Measuring triples what a process does, and shows nothing new where the same code is tested elsewhere.
"""

import os
from typing import Final

_MEASURING: Final = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
"""By these variables a process learns that it is to be measured."""


def unmeasured_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with `variables`, without what would have a child measured."""
    inherited = {name: value for name, value in os.environ.items() if name not in _MEASURING}
    return inherited | variables
