"""Every block of the runbook is executed by a test: `trader` on a stack, `docker compose` by a drill."""

import re

from tests.support.documents import ROOT, RUNBOOK, headings, section, shell_lines

DRILLED_ELSEWHERE = {"The disk is full": ("run", "--rm", "archive")}
"""Sections whose commands another test of deployments types."""

DRILLS = ROOT / "tests" / "compose" / "test_compose_drills.py"
SETTING_UP = {"chmod 600 webhooks.txt"}
"""What prepares the line that follows it, which a test executes in its own way."""


def test_every_block_with_docker_compose_is_a_drill():
    text = RUNBOOK.read_text(encoding="utf-8")
    drills = DRILLS.read_text(encoding="utf-8")
    with_compose = [
        title
        for level, title in headings(text)
        if level == 2 and any(line.startswith("docker compose ") for line in shell_lines(section(text, title)))
    ]

    assert with_compose
    for title in with_compose:
        if title in DRILLED_ELSEWHERE:
            lines = [line for line in shell_lines(section(text, title)) if line.startswith("docker compose ")]
            assert lines == [" ".join(("docker compose", *DRILLED_ELSEWHERE[title]))]
            continue
        assert re.search(rf'(follow|lines)\((running, )?"{title}"', drills), title


def test_every_other_line_of_a_block_is_a_command_of_trader():
    for line in shell_lines(RUNBOOK.read_text(encoding="utf-8")):
        assert line.startswith(("trader ", "docker compose ", "export TRADER_")) or line in SETTING_UP, line
