import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.audit.anchors import (
    AnchorLog,
    ChainHead,
    load_or_create_key,
    load_public_key,
    public_key_path,
    read_anchors,
)
from libs.common.audit.records import ChainId
from libs.common.errors import ConfigurationError
from tests.support.raw_records import AT

FILLS = ChainId("fills", 0)
SIGNALS = ChainId("signals", 2)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def a_head(offset: int, chain: ChainId = FILLS) -> ChainHead:
    return ChainHead(chain, offset, offset.to_bytes(32))


def a_file(path: Path, *offsets: int) -> Path:
    log = AnchorLog(path, KEY)
    for offset in offsets:
        log.append([a_head(offset)], AT + timedelta(seconds=offset))
    return path


def test_anchors_are_read_back_in_their_order(tmp_path):
    path = a_file(tmp_path / "elsewhere" / "anchors", 1, 5, 9)

    anchors = read_anchors(path, KEY.public_key())

    assert anchors.problem == ""
    assert anchors.lines == 3
    assert anchors.heads == {FILLS: [(offset, offset.to_bytes(32)) for offset in (1, 5, 9)]}


def test_only_heads_that_moved_are_written(tmp_path):
    log = AnchorLog(tmp_path / "anchors", KEY)

    first = log.append([a_head(1), a_head(1, SIGNALS)], AT)
    second = log.append([a_head(1), a_head(2, SIGNALS)], AT)
    third = log.append([a_head(1), a_head(2, SIGNALS)], AT)

    assert (first, second, third) == (2, 1, 0)
    assert len((tmp_path / "anchors").read_text().splitlines()) == 2


def test_a_restart_continues_the_file(tmp_path):
    a_file(tmp_path / "anchors", 1, 2)

    anchors = read_anchors(a_file(tmp_path / "anchors", 3), KEY.public_key())

    assert (anchors.lines, anchors.problem) == (3, "")


def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path):
    path = a_file(tmp_path / "anchors", 1, 2)
    path.write_bytes(path.read_bytes() + b'{"at":"2026-')

    assert read_anchors(path, KEY.public_key()).problem == ""
    anchors = read_anchors(a_file(path, 3), KEY.public_key())

    assert (anchors.lines, anchors.problem) == (3, "")


def test_an_altered_line_is_named(tmp_path):
    path = a_file(tmp_path / "anchors", 1, 2, 3)
    lines = path.read_text().splitlines()
    content = json.loads(lines[1])
    content["heads"][0][2] = 1
    path.write_text("\n".join([lines[0], json.dumps(content), lines[2]]) + "\n")

    anchors = read_anchors(path, KEY.public_key())

    assert anchors.problem == "line 2: its signature does not fit its content"
    assert anchors.lines == 1


def test_a_line_made_unreadable_is_named(tmp_path):
    path = a_file(tmp_path / "anchors", 1, 2, 3)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-5], lines[2]]) + "\n")

    assert read_anchors(path, KEY.public_key()).problem.startswith("line 2: expected an anchor")


def test_a_removed_line_is_named(tmp_path):
    path = a_file(tmp_path / "anchors", 1, 2, 3)
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]}\n{lines[2]}\n")

    assert "line 2: it does not follow" in read_anchors(path, KEY.public_key()).problem


def test_anchors_of_another_key_are_refused(tmp_path):
    other = Ed25519PrivateKey.generate().public_key()

    assert "signature" in read_anchors(a_file(tmp_path / "anchors", 1), other).problem


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    path = tmp_path / "secrets" / "audit-anchor-key"

    made = load_or_create_key(path)
    loaded = load_or_create_key(path)

    assert loaded.private_bytes_raw() == made.private_bytes_raw()
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_public_key(public_key_path(path)) == made.public_key()


@pytest.mark.parametrize("load", [load_or_create_key, load_public_key])
def test_a_file_that_holds_no_key_is_a_clear_error(tmp_path, load):
    path = tmp_path / "key"
    path.write_text("not a key")

    with pytest.raises(ConfigurationError, match="expected an Ed25519 key in PEM"):
        load(path)
