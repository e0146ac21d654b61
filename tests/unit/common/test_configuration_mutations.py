"""Whatever is done to a valid configuration that makes it invalid, it is refused where the damage is."""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cli.errors import CommandError
from cli.stack.plan import check_startable
from libs.common.configuration import load_configuration
from libs.common.configuration.keys import account_of, flat, put
from libs.common.errors import ConfigurationError

DEMO = Path(__file__).parents[3] / "config" / "demo.json"
HERE = '"@here@"'
"""Stands where raw JSON is put, which no Python value has."""

NO_NUMBERS = (
    "true",
    "null",
    '"many"',
    '""',
    "[]",
    "{}",
    "[1]",
    "NaN",
    "Infinity",
    "-Infinity",
    '"NaN"',
    "1e30",
    "-1e3",
)
NO_INTEGERS = (*NO_NUMBERS, "0.5", "-1", "99999999999999999999", "9" * 5_000, "1e-9", '"1e99"')
NO_DECIMALS = (
    *NO_NUMBERS,
    "1e-30",
    '"1e-30"',
    "1e999999999",
    "1e9999999999999999999",
    '"1e999999999"',
    "0." + "1" * 60,
    '"1,5"',
)
NO_BOOLEANS = ("0", "1", "null", '"yes"', '"true"', "[]", "{}", "0.0", "NaN")
NO_TEXTS = ("7", "true", "null", "[]", "{}", '"no such thing"', '""', "NaN", json.dumps("x" * 10_000))
NO_LISTS = ("7", "true", "null", "{}", '"BTC/USDT"', "[null]", "[7]", "[[]]", '["no such thing"]', "[{}]", '{"0": 1}')
OPTIONAL = {"strategy.exit_after_s", "notifications.quiet_hours", "notifications.quiet_hours_timezone"}
OWN = {
    "engine": {"trading_mode": "MODERATE", "max_concurrent_positions": 2},
    "strategy": {"sizing": {"method": "risk_per_trade", "risk_pct": "0.01"}},
    "safety": {"order_notional_max": "500", "refusals_max": 2, "liquidate_on": []},
}
"""What an account may have of its own: a value of every kind."""

SCENARIO = {
    "crashes": [{"at_s": 1, "change_pct": 5, "over_s": 10}],
    "gaps": [{"at_s": 1, "change_pct": -5}],
    "halts": [{"at_s": 1, "for_s": 5}],
    "silences": [{"at_s": 1, "for_s": 5}],
}

Mutation = tuple[str, str | bytes]
"""The key that must be named, or none, and the file's content."""


@cache
def whole_text() -> str:
    content = load_configuration([DEMO]).model_dump(mode="json")
    content["market"]["generated"] = SCENARIO
    content["exchange"]["accounts"] = ["main", "second"]
    content["accounts"] = {"second": OWN}
    return json.dumps(content)


def whole() -> dict[str, Any]:
    """Return a configuration with every key in it."""
    content: dict[str, Any] = json.loads(whole_text())
    return content


def with_raw(key: str, raw: str) -> str:
    """Return the text of a configuration in which raw JSON stands for a value."""
    content = whole()
    put(content, key, HERE[1:-1])
    return json.dumps(content, ensure_ascii=False).replace(HERE, raw)


def wrong_for(value: Any) -> tuple[str, ...]:
    """Return what cannot stand where a value stands."""
    if isinstance(value, bool):
        return NO_BOOLEANS
    if isinstance(value, int):
        return NO_INTEGERS
    if isinstance(value, list):
        return NO_LISTS
    is_number = isinstance(value, str) and value.replace(".", "").isdigit()
    return NO_DECIMALS if is_number else NO_TEXTS


def wrong_values() -> Iterator[Mutation]:
    for key, value in flat(whole()).items():
        for raw in wrong_for(value):
            if not (raw == "null" and (key in OPTIONAL or account_of(key) is not None)):
                yield key, with_raw(key, raw)


def wrong_entries() -> Iterator[Mutation]:
    """Entries of lists: a key too few, one too many, a value of the wrong kind."""
    for name, (entry,) in SCENARIO.items():
        for field in entry:
            place = f"market.generated.{name}"
            less = {other: value for other, value in entry.items() if other != field}
            yield f"{place}.0.{field}", with_raw(place, json.dumps([less]))
            yield f"{place}.0.{field}_", with_raw(place, json.dumps([{**entry, f"{field}_": 1}]))
            for raw in NO_DECIMALS:
                damaged = json.dumps([{**entry, field: HERE[1:-1]}]).replace(HERE, raw)
                yield f"{place}.0.{field}", with_raw(place, damaged)
    yield "symbols", with_raw("symbols", '["BTC/USDT", "BTC/USDT"]')
    yield "symbols", with_raw("symbols", '["BTC/USDT", "ETH/EUR"]')
    yield "symbols", with_raw("symbols", json.dumps([f"A{number}/USDT" for number in range(10, 200)]))
    yield "safety", with_raw("safety.liquidate_on", '["API_CONNECTION_LOST"]')
    yield "accounts.second", with_raw("accounts.second.safety.liquidate_on", '["API_CONNECTION_LOST"]')
    yield "accounts.second", with_raw("accounts.second.safety.refusals_max", "11")
    for shared in ("symbols", "engine.trading_interval", "risk_management.stop_loss_pct", "safety.jump_rate_max"):
        yield f"all accounts share {shared}", with_raw(f"accounts.second.{shared}", "1")
    for name in ("secnd", "Second", "second.account", "", "x" * 33):
        yield f"accounts.{name}", with_raw("accounts", json.dumps({name: OWN}))


def wrong_keys() -> Iterator[Mutation]:
    for key, value in flat(whole()).items():
        section, _, name = key.rpartition(".")
        text = json.dumps(value)
        for wrong in (f"{key}x", f"{section}.{name[:-1]}" if section else name[:-1], f"{section}.{name.upper()}"):
            content = whole()
            put(content, wrong.strip("."), value)
            if wrong.strip(".") != key:
                yield wrong.strip("."), json.dumps(content)
        if section:  # at the root, one level too deep, given twice
            yield name, json.dumps({**whole(), name: value})
            yield key, with_raw(key, json.dumps({name: value}))
        yield key, with_raw(key, f'{text}, "{name}": {text}')
    for section, value in whole().items():
        yield section, json.dumps(whole())[:-1] + f", {json.dumps(section)}: {json.dumps(value)}" + "}"
        for raw in ("7", "true", "null", "[]", '"text"', "NaN"):
            if section != "symbols":
                yield section, with_raw(section, raw)
        yield f"engine.{section}", with_raw(f"engine.{section}", json.dumps(value))


def broken_bytes() -> Iterator[Mutation]:
    text = DEMO.read_text(encoding="utf-8").strip()
    content = text.encode()
    for end in range(0, len(content), 4):
        yield "", content[:end]
    for place in range(0, len(content), 8):
        yield "", content[:place] + b"\xff" + content[place:]
    for place in range(1, len(content), 16):
        yield "", content[:place] + b"\xef\xbb\xbf" + content[place:] if text[place] in "{}," else content + b"}"
    for mark in "{}[],:":
        for place in [index for index, letter in enumerate(text) if letter == mark and index]:
            yield "", text[:place] + text[place + 1 :]
    yield from (("", each) for each in (b"", b"\0" * 100, b"null", b"[]", b'"text"', b"7", b"{}{}", b"\xef\xbb\xbf"))
    yield "", text.encode("utf-16")
    yield "", text.replace('"', "'")
    yield "", "// a comment\n" + text
    yield "", text[:-1] + ",}"
    yield "", text + " " * 10_000_000
    yield "", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "", b"[" * 400_000
    yield "symbols", with_raw("symbols", "[" * 900 + "]" * 900)
    yield "", json.dumps({"x" * 900_000: 1})


MUTATIONS = {each.__name__: each for each in (wrong_values, wrong_entries, wrong_keys, broken_bytes)}


@cache
def mutations(name: str) -> Sequence[Mutation]:
    return tuple(MUTATIONS[name]())


def refusal(path: Path, content: str | bytes) -> str | None:
    """Return what a person is told about a file; None if the stack would start with it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        check_startable(load_configuration([path]), where=str(path))
    except (ConfigurationError, CommandError) as error:
        return error.message if isinstance(error, CommandError) else str(error)
    return None


def test_there_are_more_than_a_thousand_mutations():
    assert len({content for name in MUTATIONS for _, content in mutations(name)}) >= 1_000


@pytest.mark.parametrize("name", MUTATIONS)
def test_no_mutation_is_accepted_and_each_is_told_with_its_place(name: str, tmp_path: Path):
    path = tmp_path / "mine.json"
    assert refusal(path, json.dumps(whole())) is None

    for key, content in mutations(name):
        told = refusal(path, content)
        assert told is not None, f"accepted: {key} in {content[:2_000]!r}"
        assert str(path) in told
        named = "strategy" if key.startswith("strategy.") else key  # which of its keys, the strategy says itself
        assert named in told, told
        assert len(told) < 20_000


def test_numbers_of_any_size_that_a_person_would_write_are_exact(tmp_path: Path):
    path = tmp_path / "mine.json"
    path.write_text(with_raw("risk_management.stop_loss_pct", "0.100000000001"))

    assert load_configuration([path]).risk_management.stop_loss_pct == Decimal("0.100000000001")
