"""What the commands about the stack say."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.commands.stack import endpoints, up
from libs.embedded.directory import DataDirectory
from libs.embedded.errors import EmbeddedError


@pytest.fixture
def running(tmp_path: Path) -> Iterator[DataDirectory]:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    with directory.locked():
        directory.endpoints_file.write_text(json.dumps({"kafka": "somewhere", "dashboard": None}))
        yield directory


def test_a_second_stack_is_refused_before_a_word_about_the_first(
    running: DataDirectory, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(EmbeddedError, match="already running"):
        up(data_dir=running.root)

    assert capsys.readouterr().err == ""


def test_endpoints_leave_out_what_there_is_not_and_warn_of_the_secrets(
    running: DataDirectory, capsys: pytest.CaptureFixture[str]
):
    endpoints(data_dir=running.root)

    printed = capsys.readouterr()
    assert printed.out == "kafka  somewhere\n"
    assert "passwords and keys" in printed.err


def test_endpoints_as_json_are_whole_and_silent(running: DataDirectory, capsys: pytest.CaptureFixture[str]):
    endpoints(data_dir=running.root, as_json=True)

    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"kafka": "somewhere", "dashboard": None}
    assert printed.err == ""


def test_help_offers_only_what_this_version_has():
    shown = CliRunner().invoke(app, ["up", "--help"], env={"COLUMNS": "200"}).output

    assert "recorded or generated" in shown
    assert "binance" not in shown
    assert "dashboard" not in shown


def test_the_exchange_alone_offers_the_live_market():
    shown = CliRunner().invoke(app, ["exchange", "--help"], env={"COLUMNS": "200"}).output

    assert "recorded, generated, or binance" in shown
    assert "--binance-rest" in shown
