"""Loading the configuration: files that together form it, environment variables over them, presets under them.

Invariant: a configuration is valid as a whole or refused with every mistake in it, and each value knows its origin.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from libs.common.configuration.accounts import NAMES, named_accounts, unlisted, without_nulls
from libs.common.configuration.keys import ACCOUNTS, account_of, common, flat, put
from libs.common.configuration.mistakes import InvalidConfigurationError, Mistake, shown
from libs.common.configuration.presets import PRESET_KEYS, mode_of, over_preset
from libs.common.configuration.reading import read_file, read_value
from libs.common.configuration.sections import TradingConfiguration

ENVIRONMENT_PREFIX: Final = "TRADER_CONFIG__"
"""`TRADER_CONFIG__ENGINE__TRADING_INTERVAL=60` stands over the file's `engine.trading_interval`."""

SCHEMA: Final = "$schema"
"""Which schema an editor is to use."""

ORIGINS: Final = "$origins"
"""Where each value came from, in a configuration that a program wrote whole."""

DEFAULT: Final = "default"
PRESET: Final = "preset"


@dataclass(frozen=True, slots=True)
class SourcedConfiguration:
    """A configuration, and where each of its values comes from.

    Attributes:
        origins: By dotted key: "file NAME", "environment NAME", "preset MODE", "default", "version N by ISSUER".
    """

    configuration: TradingConfiguration
    origins: Mapping[str, str]


def load_configuration(paths: Sequence[Path]) -> TradingConfiguration:
    """Read one file or several (the specification has three) that together form the configuration.

    Raises:
        InvalidConfigurationError: A file that cannot be read or parsed, a key that is unknown, given twice or wrong.
    """
    return load_sourced(paths).configuration


def load_sourced(paths: Sequence[Path], environment: Mapping[str, str] | None = None) -> SourcedConfiguration:
    """Read files and the environment variables that stand over them.

    Raises:
        InvalidConfigurationError: With every mistake in them.
    """
    mistakes: list[Mistake] = []
    merged: dict[str, Any] = {}
    given: dict[str, str] = {}
    file_of: dict[str, Path] = {}
    for path in paths:
        content, found = read_file(path)
        mistakes += found
        written = content.pop(ORIGINS, {})
        content.pop(SCHEMA, None)
        origins = written if isinstance(written, Mapping) else {}
        given |= {key: str(origins.get(key, f"file {path.name}")) for key in flat(content)}
        for key, value in content.items():
            if key in merged:
                once = f"each section once, and it stands in {file_of[key]} already"
                mistakes.append(Mistake(f"{path}: {key}", once, "it again", "remove one of the two"))
            merged[key] = value
            file_of[key] = path
    for name, text in (environment or {}).items():
        if name.startswith(ENVIRONMENT_PREFIX):
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            put(merged, key, read_value(text))
            given[key] = f"environment {name}"
    where = ", ".join(str(path) for path in paths) or "configuration"
    return _sourced(merged, given, where=where, mistakes=mistakes, file_of=file_of)


def parse_configuration(content: Mapping[str, Any], *, where: str) -> TradingConfiguration:
    """Validate a parsed configuration.

    Raises:
        InvalidConfigurationError: With every mistake in it, the nearest known key beside each unknown one.
    """
    return source(content, {}, where=where).configuration


def source(content: Mapping[str, Any], given: Mapping[str, str], *, where: str) -> SourcedConfiguration:
    """Validate a parsed configuration and say where each value comes from.

    Args:
        content: Its sections.
        given: The origins that are known, by dotted key; every other value is of the preset or the default.
        where: Where it comes from, for the reader of an error.

    Raises:
        InvalidConfigurationError: With every mistake in it.
    """
    return _sourced(content, given, where=where, mistakes=[])


def configuration_schema() -> dict[str, Any]:
    """Return the JSON schema that editors and the documents use."""
    schema = TradingConfiguration.model_json_schema()
    schema["properties"][SCHEMA] = {"type": "string", "description": "Where an editor finds this schema."}
    return schema


def _sourced(
    content: Mapping[str, Any],
    given: Mapping[str, str],
    *,
    where: str,
    mistakes: list[Mistake],
    file_of: Mapping[str, Path] | None = None,
) -> SourcedConfiguration:
    files = file_of or {}
    content = named_accounts(without_nulls(content))
    explicit = flat(content)
    said = {key for key in explicit if given.get(key, "given").partition(" ")[0] not in (DEFAULT, PRESET)}
    mistakes += unlisted(content, where=f"{files.get(ACCOUNTS, where)}")
    try:
        configuration = TradingConfiguration.model_validate(over_preset(content, said))
    except ValidationError as error:
        told = {mistake.where for mistake in mistakes}
        mistakes += [mistake for mistake in _wrong(error, content, where, files) if mistake.where not in told]
    if mistakes:
        raise InvalidConfigurationError(mistakes)

    def origin(key: str) -> str:
        if key in given:
            return given[key]
        if key in explicit:  # or derived from a section whose origin is known
            return next((given[own] for own in given if own.startswith(f"{ACCOUNTS}.") and key == NAMES), "given")
        account = account_of(key)
        mode = mode_of(content if account is None else content[ACCOUNTS][account])
        return f"{PRESET} {mode}" if common(key) in PRESET_KEYS else DEFAULT

    return SourcedConfiguration(
        configuration, {key: origin(key) for key in flat(configuration.model_dump(mode="json"))}
    )


def _wrong(
    error: ValidationError, content: Mapping[str, Any], where: str, file_of: Mapping[str, Path]
) -> list[Mistake]:
    """Return a mistake for every place that validation names."""
    mistakes: dict[str, Mistake] = {}
    for entry in error.errors(include_url=False):
        location = _within(entry["loc"], content, is_missing=entry["type"] == "missing")
        place = f"{file_of.get(location[0], where)}: {'.'.join(map(shown, location))}" if location else where
        if entry["type"] == "extra_forbidden":
            unknown = location[-1]
            nearest = difflib.get_close_matches(unknown[:100], _known_keys(location[:-1]), n=1, cutoff=0.0)
            hint = f"did you mean {nearest[0]!r}?" if nearest else ""
            if (key := common(".".join(location))) in _COMMON_KEYS and location[0] == ACCOUNTS:
                hint = f"all accounts share {key}: set that"
            mistake = Mistake(place, "a known key", repr(shown(unknown)), hint)
        else:
            mistake = Mistake(place, _sentence(entry["type"], entry["msg"]), shown(entry["input"]))
        mistakes.setdefault(place, mistake)
    # A misspelt key is the likely cause of whatever else is wrong.
    return sorted(mistakes.values(), key=lambda mistake: mistake.expected != "a known key")


def _within(location: Iterable[int | str], content: Any, *, is_missing: bool) -> list[str]:
    """Return a location as far as the content has it: validation also names the alternatives of a union."""
    path: list[str] = []
    for part in location:
        is_key = isinstance(content, Mapping) and part in content
        if is_key or (isinstance(content, list | tuple) and isinstance(part, int) and part < len(content)):
            content = content[part]
        elif not (is_missing and isinstance(content, Mapping)):
            break
        path.append(str(part))
    return path


def _known_keys(location: Sequence[str]) -> list[str]:
    model: Any = TradingConfiguration
    for number, part in enumerate(location):
        if part.isdigit() or location[:number] == [ACCOUNTS]:  # an entry: the field before it named its model
            continue
        field = model.model_fields.get(part)
        candidates = [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if model is None:
            return []
    return list(model.model_fields)


_COMMON_KEYS: Final = frozenset(flat(TradingConfiguration().model_dump()))


def _sentence(kind: str, message: str) -> str:
    """Return what was expected, in words that go with "expected"."""
    if kind == "missing":
        return "this key"
    if kind == "string_pattern_mismatch":
        return "text of the form" + message.rpartition("pattern")[2]
    return message.removeprefix("Value error, ").removeprefix("Input should be ")
