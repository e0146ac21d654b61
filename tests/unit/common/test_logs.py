"""Secrets are in no line, whatever they are called, whatever they look like and wherever they stand."""

import io
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog

from libs.common.configuration import TradingConfiguration, parse_configuration
from libs.common.errors import ConfigurationError
from libs.common.observability.logs import LIBRARY_LINES_PER_MINUTE_MAX, REDACTED, configure_logging
from tests.support.clock import FakeClock

KEY = "aB3" * 21 + "c"  # as long as the exchange's keys: 64 letters and digits
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIMlW\n-----END PRIVATE KEY-----"
CANARY = "canary-5e7f"


class Lines:
    """What was written and what was forwarded."""

    def __init__(self, stream: io.StringIO, clock: FakeClock) -> None:
        self._stream = stream
        self.clock = clock
        self.forwarded: list[tuple[str, str, Mapping[str, str]]] = []

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def written(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def forward(self, level: str, message: str, fields: Mapping[str, str]) -> None:
        self.forwarded.append((level, message, fields))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    lines = Lines(stream, FakeClock())
    configure_logging(service="test", instance="here:1", level="DEBUG", clock=lines.clock, forward=lines.forward)
    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "api_key",
        "apiKey",
        "secret",
        "API_SECRET",
        "token",
        "private_key",
        "signature",
        "dsn",
        "Authorization",
    ],
)
def test_fields_with_the_name_of_a_secret_are_redacted(lines: Lines, name: str) -> None:
    structlog.get_logger("libs.test").info("Connected", **{name: CANARY, "nested": {name: CANARY}})

    assert CANARY not in lines.text
    assert lines.written[0][name] == lines.written[0]["nested"][name] == REDACTED


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        f"sent with {KEY}, answered 400",
        f"GET /api/v3/order?symbol=BTCUSDT&signature={CANARY}&x=1",
        f"{{'X-MBX-APIKEY': '{CANARY}'}}",
        f"X-MBX-APIKEY: {CANARY}",
        f"postgresql://risk_manager:{CANARY}@127.0.0.1:5432/trader",
        f"redis://:{CANARY}@127.0.0.1:6379/0",
        PEM,
        [f"redis://:{CANARY}@host/0"],
        ({"address": f"redis://:{CANARY}@host/0"},),
        ValueError(f"redis://:{CANARY}@host/0"),
        {f"redis://:{CANARY}@host/0"},
        f"redis://:{CANARY}@host/0".encode(),
    ],
    ids=repr,
)
def test_values_that_look_like_a_secret_are_redacted(lines: Lines, value: object) -> None:
    structlog.get_logger("libs.test").info("Sent", detail=value)
    structlog.get_logger("libs.test").info(f"Sent {value}")

    for secret in (KEY, CANARY, "MC4CAQ"):
        assert secret not in lines.text
        assert secret not in str(lines.forwarded)
    assert REDACTED in lines.text


def test_what_is_no_secret_stays_as_it_is(lines: Lines) -> None:
    structlog.get_logger("libs.test").info(
        "Filled", price=Decimal("61234.56"), quantity=3, ratio=0.5, ready=True, reason=None, path=Path("a/b")
    )

    (line,) = lines.written
    assert (line["price"], line["quantity"], line["ratio"], line["ready"], line["reason"], line["path"]) == (
        "61234.56",
        3,
        0.5,
        True,
        None,
        "a/b",
    )
    assert (line["event"], line["level"], line["service"], line["instance"]) == ("Filled", "info", "test", "here:1")
    assert line["at"] == lines.clock.now().isoformat()


@pytest.mark.parametrize("log", [structlog.get_logger("libs.test"), logging.getLogger("theirs")], ids=type)
def test_exceptions_are_redacted_with_their_causes(lines: Lines, log: Any) -> None:
    error = RuntimeError("could not connect")
    error.__cause__ = OSError(f"refused: postgresql://role:{CANARY}@host/db")
    log.error("Crashed", exc_info=error)

    assert "could not connect" in lines.text
    assert CANARY not in lines.text
    assert CANARY not in str(lines.forwarded)


def test_lines_of_libraries_pass_the_same_chain(lines: Lines) -> None:
    logging.getLogger("a_library").warning("GET https://x/?signature=%s failed", CANARY)

    (line,) = lines.written
    assert line["event"] == f"GET https://x/?signature={REDACTED} failed"
    assert line["level"] == "warning"


def test_a_canary_in_any_field_of_a_configuration_is_in_no_line(lines: Lines) -> None:
    secret = f"redis://:{CANARY}@host/0"
    log = structlog.get_logger("libs.test")
    for section, model in TradingConfiguration.model_fields.items():
        inner = getattr(model.annotation, "model_fields", {})
        for field in inner or [section]:
            content: dict[str, Any] = {section: {field: secret}} if inner else {section: secret}
            try:
                log.info("Configuration", content=content, built=parse_configuration(content, where="file"))
            except ConfigurationError as error:
                log.exception("Configuration error", error=error)

    assert len(lines.written) > 20
    assert CANARY not in lines.text
    assert CANARY not in str(lines.forwarded)


@pytest.mark.parametrize(
    ("method", "level"),
    [("debug", None), ("info", "INFO"), ("warning", "WARNING"), ("error", "ERROR"), ("critical", "ERROR")],
)
def test_lines_of_info_and_above_are_forwarded_under_three_levels(lines: Lines, method: str, level: str | None) -> None:
    getattr(structlog.get_logger("libs.test"), method)("Something", orders=3)

    assert lines.forwarded == ([(level, "Something", {"orders": "3"})] if level else [])
    assert len(lines.written) == 1


def test_a_level_that_is_not_asked_for_is_neither_written_nor_forwarded(lines: Lines) -> None:
    configure_logging(service="test", instance="here:1", level="ERROR", clock=lines.clock, forward=lines.forward)

    structlog.get_logger("libs.test").warning("Something")
    logging.getLogger("a_library").warning("Something")

    assert (lines.text, lines.forwarded) == ("", [])


def test_a_library_that_floods_is_held_back_until_the_next_minute(lines: Lines) -> None:
    def flood() -> None:
        for number in range(100):
            logging.getLogger("aiokafka.conn").error("Connection failed %d", number)

    flood()
    structlog.get_logger("libs.test").info("Ours")
    logging.getLogger("another").warning("Theirs")
    assert len(lines.written) == LIBRARY_LINES_PER_MINUTE_MAX + 2
    assert len(lines.forwarded) == LIBRARY_LINES_PER_MINUTE_MAX + 2

    lines.clock.advance(60)
    flood()
    assert len(lines.written) == 2 * LIBRARY_LINES_PER_MINUTE_MAX + 2


def test_long_texts_are_cut_where_they_are_forwarded(lines: Lines) -> None:
    structlog.get_logger("libs.test").info("x" * 5_000, detail="y" * 5_000)

    ((_, message, fields),) = lines.forwarded
    assert (len(message), len(fields["detail"])) == (2_000, 2_000)
