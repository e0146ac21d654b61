import hashlib
from pathlib import Path

import pytest

from libs.embedded.errors import EmbeddedError
from libs.embedded.stores.jars import Jar, cache_directory, fetch_jars, locked_jars

CONTENT = b"classes"
JAR = Jar("org.example", "broker", "1.0", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nothing listens there


def a_cached_jar(cache: Path, content: bytes) -> Path:
    path = cache / "jars" / JAR.file_name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_the_lock_names_each_jar_once_with_its_hash() -> None:
    jars = locked_jars()

    assert len({jar.file_name for jar in jars}) == len(jars) == 46
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    assert ("kafka_2.13", "4.1.0") in {(jar.artifact, jar.version) for jar in jars}


@pytest.mark.usefixtures("offline")
def test_an_intact_jar_in_the_cache_needs_no_network(tmp_path: Path) -> None:
    path = a_cached_jar(tmp_path, CONTENT)

    assert fetch_jars((JAR,), tmp_path) == (path,)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("cached", [None, b"damaged"])
def test_without_a_network_a_missing_or_damaged_jar_says_what_to_do(tmp_path: Path, cached: bytes | None) -> None:
    if cached is not None:
        a_cached_jar(tmp_path, cached)

    with pytest.raises(EmbeddedError, match=r"broker-1\.0\.jar: expected it in") as refused:
        fetch_jars((JAR,), tmp_path)
    assert "TRADER_CACHE_DIR" in refused.value.hint


def test_the_cache_can_be_placed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRADER_CACHE_DIR", str(tmp_path))
    assert cache_directory() == tmp_path

    monkeypatch.delenv("TRADER_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory().parent == tmp_path


def test_a_cache_that_cannot_be_written_says_how_to_place_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EmbeddedError, match="expected a directory that can be written") as refused:
        fetch_jars((JAR,), tmp_path / "file")
    assert "TRADER_CACHE_DIR" in refused.value.hint
