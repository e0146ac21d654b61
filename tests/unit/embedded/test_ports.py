import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.embedded.errors import EmbeddedError
from libs.embedded.ports import HIGHEST, LOWEST, PortBook


def a_book(root: Path) -> PortBook:
    return PortBook(root / "ports.json", choice=random.SystemRandom())


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_ports_differ_by_name_and_are_the_same_after_a_restart(tmp_path: Path) -> None:
    first = a_book(tmp_path)
    ports = [first.port(name) for name in ("kafka", "postgres", "kafka")]

    assert ports[0] == ports[2] != ports[1]
    assert all(LOWEST <= port < HIGHEST for port in ports)
    assert a_book(tmp_path).port("kafka") == ports[0]


def test_a_remembered_port_that_something_else_took_is_given_up(tmp_path: Path) -> None:
    before = a_book(tmp_path).port("kafka")

    with socket.create_server(("127.0.0.1", before)):
        after = a_book(tmp_path).port("kafka")

    assert after != before
    assert a_book(tmp_path).port("kafka") == after


def test_a_wanted_port_in_use_is_an_error_that_says_how_to_find_its_user(tmp_path: Path, used_port: int) -> None:
    with pytest.raises(EmbeddedError, match=f"expected port {used_port} to be free") as refused:
        a_book(tmp_path).port("exchange", wanted=used_port)
    assert "ss -ltnp" in refused.value.hint
