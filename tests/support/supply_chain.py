"""Where everything that we install comes from: its licences, its known vulnerabilities, and a bill of materials.

`make check` runs it. Licences are read from what is installed here. Vulnerabilities are asked of a database on the
network, once a day and for each `uv.lock`; where it does not answer, that is said and nothing fails.
"""

import hashlib
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ASKED = ROOT / ".venv" / ".vulnerabilities-asked"
BILL = ROOT / ".venv" / "sbom.cdx.json"
ASKED_EVERY_S = 86_400
ASKED_AGAIN_S = 3_600
"""Where nobody answered."""

ANSWER_S_MAX = 15.0
SKIPPED = "vulnerabilities: skipped"
UNREACHABLE = re.compile(r"dns error|error sending request|timed out|client error \(Connect\)|tunnel", re.IGNORECASE)
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
WORDS = {"Simplified BSD": "BSD-2-Clause", "Apache License 2.0": "Apache-2.0"}


@dataclass(frozen=True, slots=True)
class Policy:
    """What pyproject.toml allows.

    Attributes:
        allowed: Licences by their SPDX ids.
        looked_up: The licence of a package that does not say its own, or that may be used for a reason given there.
    """

    allowed: frozenset[str]
    looked_up: Mapping[str, str]

    @classmethod
    def of(cls, path: Path) -> "Policy":
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["supply-chain"]
        return cls(frozenset(content["licences-allowed"]), content["licences-looked-up"])

    def objections(self, installed: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Yield the packages whose licence is not allowed, and entries that no package needs."""
        names = set()
        for name, told in installed:
            names.add(name)
            licence = self.looked_up.get(name, told)
            if not satisfied(licence, self.allowed):
                yield f"{name}: expected a licence of licences-allowed (pyproject.toml), found {licence or 'none'}"
        yield from (f"{name}: in licences-looked-up, and not installed" for name in self.looked_up.keys() - names)


def satisfied(expression: str, allowed: frozenset[str]) -> bool:
    """Return whether an SPDX expression can be followed: every part of an AND, and one of an OR, is allowed."""
    expression = expression.strip()
    while expression.startswith("(") and _closes_last(expression):
        expression = expression[1:-1].strip()
    for word, meaning in ((" OR ", any), (" AND ", all)):
        if len(parts := _split(expression, word)) > 1:
            return meaning(satisfied(part, allowed) for part in parts)
    return expression in allowed


def licence_of(package: Distribution) -> str:
    """Return what a package says of its licence, as an SPDX expression where that can be told; else its own words."""
    (expression,) = package.metadata.get_all("License-Expression") or ("",)
    if expression:
        return str(expression)
    classifiers = (text.rpartition(" :: ")[2] for text in package.metadata.get_all("Classifier") or ())
    if known := sorted({CLASSIFIERS[name] for name in classifiers if name in CLASSIFIERS}):
        return " AND ".join(known)
    words = str((package.metadata.get_all("License") or [""])[0]).partition("\n")[0].strip()
    return WORDS.get(words, words)


def vulnerabilities(uv: str) -> tuple[int, str]:
    """Ask for known vulnerabilities; return the exit status for make, and what to say."""
    lock = hashlib.sha256((ROOT / "uv.lock").read_bytes()).hexdigest()
    if (said := _remembered(lock)) is not None:
        return 0, said
    try:
        asked = subprocess.run(
            (uv, "audit", "--frozen", "--preview"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=ANSWER_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 0, _remember(lock, f"{SKIPPED}, their database did not answer within {ANSWER_S_MAX:g} s")
    if asked.returncode == 0:
        return 0, _remember(lock, "vulnerabilities: none known")
    if UNREACHABLE.search(asked.stderr):
        return 0, _remember(lock, f"{SKIPPED}, their database cannot be reached from here")
    return 1, asked.stdout + asked.stderr


def _remember(lock: str, said: str) -> str:
    ASKED.write_text(f"{lock}\n{said}")
    return said


def _remembered(lock: str) -> str | None:
    """Return what was said of the same `uv.lock` not long ago."""
    if not ASKED.exists():
        return None
    asked_of, _, said = ASKED.read_text().partition("\n")
    holds_s = ASKED_AGAIN_S if said.startswith(SKIPPED) else ASKED_EVERY_S
    return said if asked_of == lock and time.time() - ASKED.stat().st_mtime < holds_s else None


def bill_of_materials(uv: str, path: Path) -> str:
    """Write the bill of materials (CycloneDX 1.5) of what the product installs; return what to say.

    Raises:
        subprocess.SubprocessError: It could not be written.
    """
    command = (uv, "export", "--quiet", "--frozen", "--format", "cyclonedx1.5", "--extra", "all", "--no-dev")
    subprocess.run((*command, "--output-file", path), cwd=ROOT, check=True, timeout=ANSWER_S_MAX, capture_output=True)
    components = json.loads(path.read_bytes())["components"]
    return f"bill of materials: {len(components)} components in {path.relative_to(ROOT)}"


def main(uv: str) -> int:
    """Write the bill of materials, check licences and vulnerabilities; return the exit status."""
    print(bill_of_materials(uv, BILL))  # noqa: T201 - the answer of the make target
    installed = sorted({(package.metadata["Name"], licence_of(package)) for package in distributions()})
    objections = list(Policy.of(ROOT / "pyproject.toml").objections(installed))
    print("\n".join(objections) or f"licences: {len(installed)} packages, all allowed")  # noqa: T201 - the same
    status, said = vulnerabilities(uv)
    print(said)  # noqa: T201 - the same
    return 1 if objections else status


def _split(expression: str, word: str) -> list[str]:
    """Return the parts between a word that stands outside of parentheses."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(expression):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0 and expression.startswith(word, place):
            parts.append(expression[start:place])
            start = place + len(word)
    return [*parts, expression[start:]]


def _closes_last(expression: str) -> bool:
    depth = 0
    for place, letter in enumerate(expression):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return place == len(expression) - 1
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
