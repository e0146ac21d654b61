"""From one version of the configuration to the next: what may change while everything runs, and what that does.

Invariant: a value that nobody named stays what it was, whatever the defaults of this version are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from libs.common.configuration.keys import ACCOUNTS, account_of, common, flat, put
from libs.common.configuration.loading import DEFAULT, PRESET, SourcedConfiguration, source
from libs.common.configuration.mistakes import InvalidConfigurationError, Mistake, shown
from libs.common.configuration.presets import PRESET_KEYS
from libs.common.configuration.reading import read_bytes, read_value
from libs.common.configuration.sections import TradingConfiguration

MODE: Final = "engine.trading_mode"
PARAMETERS: Final = "strategy.parameters"
UNSET: Final = "unset"

AT_START: Final[Mapping[str, str]] = {
    "symbols": "streams, books and the exchange's rules are opened for them at the start",
    "engine.trading_interval": "candles and what strategies know of the past are of this length",
    "engine.enable_paper_trading": "which exchange is meant is decided once, before anything connects",
    "strategy.name": "halts, positions and histories are told apart by it",
    "market": "the paper exchange is started with it",
    "exchange.accounts": "keys, books and streams are opened for them at the start",
    "exchange.recv_window_ms": "orders of unknown outcome are waited for by it",
}
"""What holds from a start to the next, and why: these values are those of the files that the start was given."""

LOOSER_WHEN_GREATER: Final = frozenset(
    {
        "engine.max_concurrent_positions",
        "risk_management.daily_loss_limit_pct",
        "risk_management.position_size_pct",
        "risk_management.stop_loss_pct",
        "strategy.stop_atr",
        "strategy.sizing.volatility_pct",
        "strategy.sizing.risk_pct",
        "safety.data_age_ms_max",
        "safety.equity_age_s_max",
        "safety.equity_age_s_reducing",
        "safety.volatility_rate_max",
        "safety.spread_rate_max",
        "safety.jump_rate_max",
        "safety.clock_skew_ms_max",
        "safety.price_collar_rate",
        "safety.order_notional_max",
        "safety.exposure_pct_max",
        "safety.orders_per_minute_max",
        "safety.messages_per_minute_max",
        "safety.strategy_messages_per_minute_max",
        "safety.drawdown_pct_max",
        "safety.loss_streak_max",
        "safety.repeated_trips_max",
        "safety.refusals_max",
        "safety.signal_age_s_max",
        "safety.daily_loss_warning_fraction",
        "safety.api_lost_reducing_s",
        "safety.api_lost_halted_s",
        "safety.crashes_max",
        "exchange.approval_lifetime_s",
    }
)
LOOSER_WHEN_SMALLER: Final = frozenset(
    {
        "strategy.quality_min",
        "safety.jump_window_s",
        "safety.calm_after_s",
        "safety.duplicate_window_s",
        "safety.crashes_window_s",
        "safety.messages_kept_rate",
        "safety.refusals_of",
        "safety.refusals_window_s",
        "exchange.entry_lists",  # false: what is bought stands without protection for a moment
    }
)
"""Limits by the direction in which they let more happen; `_loosens` knows those that are no numbers."""

STANDS_FOR: Final[Mapping[str, str]] = {
    "strategy.parameters.stop_loss_pct": "risk_management.stop_loss_pct",
    "strategy.parameters.stop_loss_atr": "strategy.stop_atr",
}
"""Parameters of a strategy that, where they are set, hold in the place of a limit."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value of two versions; `UNSET` where a version has no such key.

    Attributes:
        loosens: Whether more may be allowed afterwards.
    """

    key: str
    before: Any
    after: Any
    loosens: bool = False

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.key}: {shown(self.before)} -> {shown(self.after)}"


def changes_between(before: TradingConfiguration, after: TradingConfiguration) -> tuple[Change, ...]:
    """Return what differs, by key; an account's own value that is not set is the common one."""
    old, new = (
        {key: value for key, value in flat(each.model_dump()).items() if value != {}} for each in (before, after)
    )
    return tuple(
        Change(
            key,
            old.get(key, UNSET),
            new.get(key, UNSET),
            loosens=_loosens(
                common(key), *(each.get(key, each.get(STANDS_FOR.get(key, common(key)), UNSET)) for each in (old, new))
            ),
        )
        for key in sorted(old.keys() | new.keys())
        if old.get(key, UNSET) != new.get(key, UNSET)
    )


def only_at_start(key: str) -> str | None:
    """Return why a key cannot change while everything runs; None if it can."""
    return next((why for name, why in AT_START.items() if key == name or key.startswith(f"{name}.")), None)


def with_changes(
    before: SourcedConfiguration, changes: Mapping[str, str], *, origin: str, where: str
) -> SourcedConfiguration:
    """Return a configuration with some values changed.

    A new mode takes its preset's figures along, except where a figure was given explicitly.

    Args:
        before: What is in force.
        changes: Text of new values by dotted key, JSON or plain.
        origin: What the changed values' origin will be.
        where: Where the changes come from, for the reader of an error.

    Raises:
        InvalidConfigurationError: With everything that is wrong with the result.
    """
    content: dict[str, Any] = {}
    drops_preset = MODE in changes
    for key, value in flat(before.configuration.model_dump()).items():
        is_preset = before.origins.get(key, DEFAULT).partition(" ")[0] in (DEFAULT, PRESET)
        if not (is_preset and (drops_preset if key in PRESET_KEYS else _drops_own_preset(key, changes))):
            put(content, key, value)
    sections = [
        Mistake(f"{where}: {key}", "one of its keys", "a section: the keys in it are set one by one")
        for key in changes
        if key != PARAMETERS and any(known.startswith(f"{key}.") for known in before.origins)
    ]
    if sections:
        raise InvalidConfigurationError(sections)
    for key, text in changes.items():
        put(content, key, read_value(text))
    kept = {key: before.origins.get(key, DEFAULT) for key in flat(content)}
    return source(content, {**kept, **dict.fromkeys(_given(content, changes), origin)}, where=where)


def carried_over(stored: SourcedConfiguration, started_with: SourcedConfiguration) -> SourcedConfiguration:
    """Return the stored version as it holds after a start: what only a start can change is that start's.

    The parameters of a strategy are its own: another strategy brings those of its file. So does an account that the
    stored version does not know; what one had that there is no more is dropped.

    Raises:
        InvalidConfigurationError: The two do not go together.
    """
    content: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for sourced in (stored, started_with):
        for key, value in flat(sourced.configuration.model_dump()).items():
            origin = sourced.origins.get(key, DEFAULT)
            is_derived = sourced is started_with and account_of(key) is not None and origin.startswith(PRESET)
            if _whose(key, stored, started_with) is sourced and not is_derived:
                put(content, key, value)
                origins[key] = origin
    return source(content, origins, where="the stored configuration with this start's files")


def stored_configuration(
    content: Mapping[str, Any], origins: Mapping[str, str], *, version: int
) -> SourcedConfiguration:
    """Return a version as it was stored or told.

    Raises:
        InvalidConfigurationError: This program cannot use it: another version of the program wrote it.
    """
    return source(content, origins, where=f"version {version} of the stored configuration")


def told_configuration(text: str, origins: Mapping[str, str], *, version: int) -> SourcedConfiguration:
    """Return a version from its canonical text, as it travels in events.

    Raises:
        InvalidConfigurationError: This program cannot use it.
    """
    content, mistakes = read_bytes(text.encode(errors="replace"), where=f"version {version} of the configuration")
    if mistakes:
        raise InvalidConfigurationError(mistakes)
    return stored_configuration(content, origins, version=version)


def check_live(changes: Iterable[Change], *, where: str) -> None:
    """Check that none of the changes needs a start.

    Raises:
        InvalidConfigurationError: One does; it says why and what to do.
    """
    mistakes = [
        Mistake(
            f"{where}: {change.key}",
            "a key that can change while everything runs",
            f"one that cannot: {why}",
            "change it in the file and start again with it",
        )
        for change in changes
        if (why := only_at_start(change.key)) is not None
    ]
    if mistakes:
        raise InvalidConfigurationError(mistakes)


def _loosens(key: str, before: Any, after: Any) -> bool:
    """Return whether more may be allowed after a change; what is no limit allows nothing."""
    match key:
        case "strategy.sizing.method":
            return True  # which of them buys more depends on the market
        case "strategy.exit_after_s":
            return after is None or (before is not None and after > before)
        case "safety.liquidate_on":
            return not set(before) <= set(after)
    limit = STANDS_FOR.get(key, key)
    if limit not in LOOSER_WHEN_GREATER | LOOSER_WHEN_SMALLER:
        return False
    if isinstance(before, str) or isinstance(after, str):  # a parameter that is no number cannot be compared
        return True
    return bool(after > before if limit in LOOSER_WHEN_GREATER else after < before)


def _whose(key: str, stored: SourcedConfiguration, started_with: SourcedConfiguration) -> SourcedConfiguration | None:
    """Return whose value of a key holds after a start; None: nobody's."""
    before, start = stored.configuration, started_with.configuration
    account = account_of(key)
    if account is not None and account not in start.exchange.accounts:
        return None
    is_new = account is not None and account not in before.exchange.accounts
    is_parameter = key == PARAMETERS or key.startswith(f"{PARAMETERS}.")
    is_foreign = is_parameter and before.strategy.name != start.strategy.name
    return started_with if is_new or is_foreign or only_at_start(key) is not None else stored


def _drops_own_preset(key: str, changes: Mapping[str, str]) -> bool:
    """Return whether a figure of an account's mode is another now: by its own mode, or by a figure given for all."""
    account = account_of(key)
    return account is not None and (f"{ACCOUNTS}.{account}.{MODE}" in changes or common(key) in changes)


def _given(content: Mapping[str, Any], changes: Mapping[str, str]) -> list[str]:
    """Return the keys that changes set: naming a section sets everything in it."""
    return [key for key in flat(content) if any(key == changed or key.startswith(f"{changed}.") for changed in changes)]
