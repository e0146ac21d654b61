"""Deployments of their own for tests: fresh secrets, volumes and networks under a project's name, removed at the end.

Where no Docker engine answers, everything here is skipped and says so.
"""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
UP_S_MAX = 1_500
COMMAND_S_MAX = 300
ENGINE_S_MAX = 30


def engine_complaint() -> str:
    """Return why no deployment can be started here; empty: it can."""
    if shutil.which("docker") is None:
        return "no `docker` command is installed"
    try:
        asked = subprocess.run(
            ("docker", "compose", "version"), capture_output=True, timeout=ENGINE_S_MAX, check=False, text=True
        )
        answered = subprocess.run(("docker", "info"), capture_output=True, timeout=ENGINE_S_MAX, check=False, text=True)
    except subprocess.TimeoutExpired:
        return "the Docker engine does not answer"
    if asked.returncode:
        return "docker has no compose plugin"
    return "" if answered.returncode == 0 else "no Docker engine answers"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if any(ROOT / "tests" / "compose" in item.path.parents for item in items) and (complaint := engine_complaint()):
        for item in items:
            if ROOT / "tests" / "compose" in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=complaint))


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """A deployment.

    Attributes:
        variables: More environment variables of `docker compose`, such as COMPOSE_FILE.
    """

    name: str
    secrets: Path
    profiles: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its `docker compose` commands."""
        own = {"TRADER_SECRETS": str(self.secrets), "COMPOSE_PROFILES": self.profiles}
        return {**os.environ, **own, **self.variables}

    def docker(self, *arguments: str, deadline_s: float = COMMAND_S_MAX, check: bool = True) -> str:
        """Run `docker` and return what it printed."""
        return self._run(("docker", *arguments), deadline_s=deadline_s, check=check).stdout

    def succeeds(self, *arguments: str) -> bool:
        """Return whether `docker` ends with exit status 0."""
        return self._run(("docker", *arguments), deadline_s=COMMAND_S_MAX, check=False).returncode == 0

    def compose(self, *arguments: str, deadline_s: float = COMMAND_S_MAX, check: bool = True) -> str:
        """Run `docker compose` and return what it printed."""
        return self._compose(*arguments, deadline_s=deadline_s, check=check).stdout

    def up(self, *services: str) -> None:
        """Start services, or all of them, and wait until they are healthy."""
        self.compose("up", "--detach", "--wait", *services, deadline_s=UP_S_MAX)

    def down(self) -> None:
        """Stop everything; data stays."""
        self.compose("down")

    def trader(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `trader` in its container."""
        return self._compose("run", "--rm", "--no-TTY", "trader", *arguments, deadline_s=COMMAND_S_MAX, check=check)

    def trader_json(self, *arguments: str) -> dict[str, Any]:
        """Run `trader … --json` and return its object."""
        content: dict[str, Any] = json.loads(self.trader(*arguments, "--json").stdout)
        return content

    def sql(self, query: str, *, check: bool = True) -> str:
        """Return what the database's owner reads, a row a line; unchecked, nothing of a database that is away."""
        return self.compose(
            *("exec", "--no-TTY", "postgres", "psql", "--username=postgres", "--dbname=trader"),
            *("--no-align", "--tuples-only", f"--command={query}"),
            check=check,
        )

    def _compose(self, *arguments: str, deadline_s: float, check: bool) -> subprocess.CompletedProcess[str]:
        return self._run(
            ("docker", "compose", "--project-name", self.name, *arguments), deadline_s=deadline_s, check=check
        )

    def _run(self, command: tuple[str, ...], *, deadline_s: float, check: bool) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done


@contextmanager
def project(
    directory: Path, *, profiles: str = "paper", variables: Mapping[str, str] | None = None
) -> Iterator[ComposeProject]:
    """Lend a deployment that nothing has been started of yet."""
    name = f"trader-test-{uuid.uuid4().hex[:8]}"
    made = ComposeProject(name, directory / "secrets", profiles, variables or {})
    subprocess.run((sys.executable, "-m", "cli", "secrets", "init", "--directory", made.secrets), cwd=ROOT, check=True)
    try:
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans", check=False)


@pytest.fixture(scope="session")
def images() -> None:
    """Build the images once, of what stands here now."""
    done = subprocess.run(
        ("docker", "compose", "build"), cwd=ROOT, capture_output=True, text=True, timeout=UP_S_MAX, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def deployment(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """Lend a module its deployment; nothing of it runs yet."""
    del images
    with project(tmp_path_factory.mktemp("deployment")) as made:
        yield made
