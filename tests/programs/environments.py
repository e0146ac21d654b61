"""An environment of its own for each program: made from pinned requirements, kept in the user's cache.

Invariant: an environment lies under its name only when it was made whole; its name holds what it was made from, so
changed requirements or another Python make a new one.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from libs.embedded.stores.jars import cache_directory

_FOLDER = Path(__file__).parent
_REQUIREMENTS = _FOLDER / "requirements"
_DEADLINE_S = 600
PROGRAMS = tuple(sorted(path.stem for path in _REQUIREMENTS.glob("*.txt")))


def environment_of(program: str) -> Path:
    """Return the environment of a program, made if this machine has none: its Python is `bin/python`."""
    requirements = _REQUIREMENTS / f"{program}.txt"
    made_from = f"{sys.version} {sys.base_prefix} {requirements.read_text(encoding='ascii')}"
    place = cache_directory() / "programs" / f"{program}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{program}-", dir=place.parent) as work:
            draft = Path(work) / "environment"
            _uv("venv", "--python", sys.executable, "--relocatable", str(draft))
            _uv("pip", "install", "--python", str(draft / "bin" / "python"), "--requirement", str(requirements))
            _forget_others(place, program)
            draft.rename(place)
    return place


def _uv(*arguments: str) -> None:
    (program,) = sorted((_FOLDER.parents[1] / ".tools").glob("uv-*/bin/uv"))[-1:] or ("uv",)
    done = subprocess.run(
        [str(program), "--quiet", *arguments],
        env={name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"uv {' '.join(arguments)}: expected it to work, found: {done.stderr.strip()}"


def _forget_others(place: Path, program: str) -> None:
    """Remove what an older list of requirements made; half a gigabyte of freqtrade is not kept twice."""
    for old in place.parent.glob(f"{program}-{'[0-9a-f]' * 16}"):
        gone = old.with_name(f"{old.name}.gone")
        old.rename(gone)
        subprocess.run(["rm", "-rf", str(gone)], check=True, timeout=_DEADLINE_S)
