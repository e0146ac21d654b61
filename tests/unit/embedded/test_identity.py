from pathlib import Path

from libs.embedded.stores.identity import is_reachable


def test_a_directory_is_reachable_only_when_every_parent_is_open(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)

    (tmp_path / "closed").chmod(0o700)

    assert not is_reachable(inner)
    assert is_reachable(Path("/"))
