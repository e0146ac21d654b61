"""The containers' health check: its exit status is what /readyz answers."""

import importlib.util
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "healthcheck.py"


@pytest.fixture
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("healthcheck", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def answering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1_024)
                connection.sendall(request.param)

        monkeypatch.setenv("TRADER_HEALTH_PORT", str(server.getsockname()[1]))
        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("answering", [b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nready\n"], indirect=True)
@pytest.mark.usefixtures("answering")
def test_ready_is_healthy(check: ModuleType, capsys: pytest.CaptureFixture[str]):
    assert check.main() == 0
    assert capsys.readouterr().out == "ready\n"


@pytest.mark.parametrize(
    "answering", [b"HTTP/1.1 503 Service Unavailable\r\n\r\npostgres: no\n", b"", b"nonsense"], indirect=True
)
@pytest.mark.usefixtures("answering")
def test_anything_else_is_not(check: ModuleType):
    assert check.main() == 1


def test_silence_is_not(check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("TRADER_HEALTH_PORT", str(port))

    assert check.main() == 1
    assert "refused" in capsys.readouterr().out
