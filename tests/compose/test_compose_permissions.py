"""A deployment's stores refuse everything that is not listed; the stores alone are started: what is tried is done."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compose.conftest import COMMAND_S_MAX, ROOT, ComposeProject
from tests.support.permission_matrix import ATTEMPTS, PermissionMatrix, everything


@pytest.fixture(scope="module")
def found(deployment: ComposeProject) -> Iterator[dict[str, Any]]:
    deployment.up("kafka", "redis", "postgres")
    for job in ("access", "topics", "database"):
        deployment.compose("run", "--rm", "--no-deps", "--no-TTY", job)
    name = f"{deployment.name}-attempts"
    deployment.docker(
        *("create", "--name", name, "--user", "0:0", "--entrypoint", "sleep", "--network", f"{deployment.name}_kafka"),
        *("--volume", f"{deployment.secrets}:/all-secrets:ro", "--volume", f"{ATTEMPTS}:/attempts.py:ro"),
        *("crypto-trader-pro/trading:local", "infinity"),
    )
    try:
        for network in ("redis", "postgres"):
            deployment.docker("network", "connect", f"{deployment.name}_{network}", name)
        deployment.docker("start", name)
        done = subprocess.run(
            ("docker", "exec", "--interactive", name, "python", "/attempts.py"),
            cwd=ROOT,
            input=json.dumps(everything()),
            text=True,
            capture_output=True,
            timeout=COMMAND_S_MAX * 4,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    finally:
        deployment.docker("rm", "--force", name, check=False)


class TestDeployment(PermissionMatrix):
    """Every cell, at the stores of a deployment."""
