"""Ten thousand commands that must not count, each wrong in one way or several, and as many halts that must."""

import base64
import random
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from libs.common.contracts.events import ControlCommanded
from libs.common.contracts.events.control import CommandName
from libs.common.control.commands import (
    CLOCK_TOLERANCE,
    LIFETIME_MAX,
    CommandHistory,
    CommandRefusal,
    issue_command,
    sign,
    verify,
)
from libs.common.control.operators import OperatorKey, OperatorRole, Operators

pytestmark = pytest.mark.sweep

NOW: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COMMANDS: Final[tuple[CommandName, ...]] = ("HALT", "RESUME", "START", "STOP", "CONFIGURE")
FRESH_ONLY: Final = COMMANDS[1:]
ALICE, DOG, TRAINEE, REVOKED, STRANGER = (OperatorKey.generate() for _ in range(5))
OPERATORS: Final = (
    Operators({})
    .with_key(ALICE, issuer="alice")
    .with_key(DOG, issuer="dog", role=OperatorRole.WATCHDOG)
    .with_key(TRAINEE, issuer="trainee", accounts=("second",))
    .with_key(REVOKED, issuer="revoked")
    .without(REVOKED.key_id, at=NOW)
)
NOTHING: Final = CommandHistory()

Attempt = tuple[ControlCommanded, CommandHistory]


def genuine(chance: random.Random, command: CommandName | None = None, **changes: Any) -> ControlCommanded:
    fields: dict[str, Any] = {
        "command": command or chance.choice(COMMANDS),
        "account": "main",
        "reason": f"reason {chance.random()}",
        "issuer": "alice",
        "key": ALICE,
        "command_id": uuid.UUID(int=chance.getrandbits(128), version=4),
        "now": NOW - timedelta(seconds=chance.uniform(0, 5)),
        "symbol": chance.choice([None, "BTC/USDT"]),
        "liquidate": chance.random() < 0.3,
        "clears": tuple(f"halt-{number}" for number in range(chance.randrange(3))),
    }
    return issue_command(**{**fields, **changes})


def forged_field(chance: random.Random) -> Attempt:
    """Change one field after signing."""
    command = genuine(chance)
    change: dict[str, Any] = chance.choice(
        [
            {"command": chance.choice([name for name in COMMANDS if name != command.command])},
            {"account": "second"},
            {"reason": f"{command.reason}!"},
            {"scope_symbol": "ETH/USDT"},
            {"scope_strategy": "other"},
            {"liquidate": not command.liquidate},
            {"clears": (*command.clears, "another")},
            {"changes": {"engine.trading_interval": "1"}},
            {"sequence": command.sequence + chance.choice([-1, 1, 1_000_000])},
            {"expires_at": command.expires_at + timedelta(seconds=chance.choice([-1, 1, 3_600]))},
            {"occurred_at": command.occurred_at + timedelta(milliseconds=chance.choice([-1, 1]))},
            {"command_id": uuid.UUID(int=chance.getrandbits(128), version=4)},
        ]
    )
    return command.model_copy(update=change), NOTHING


def forged_signature(chance: random.Random) -> Attempt:
    """Flip a bit of the signature, cut it, take another command's or another key's."""
    command = genuine(chance)
    raw = bytearray(base64.b64decode(command.signature))
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    signature = chance.choice(
        [
            base64.b64encode(raw).decode(),
            command.signature[: chance.randrange(len(command.signature))],
            genuine(chance).signature,
            sign(command, STRANGER).signature,
            f"{command.signature}\n",
            "",
        ]
    )
    return command.model_copy(update={"signature": signature}), NOTHING


def unknown_key(chance: random.Random) -> Attempt:
    """Sign with a key that nobody knows, or that was revoked."""
    key, issuer = chance.choice([(STRANGER, "alice"), (REVOKED, "revoked")])
    return genuine(chance, key=key, issuer=issuer), NOTHING


def out_of_scope(chance: random.Random) -> Attempt:
    """Command what the key may not: another's account, another's name, or more than to halt."""
    makers: list[Callable[[], ControlCommanded]] = [
        lambda: genuine(chance, account="elsewhere"),
        lambda: genuine(chance, key=TRAINEE, issuer="trainee"),
        lambda: genuine(chance, issuer="dog"),
        lambda: genuine(chance, chance.choice(FRESH_ONLY), key=DOG, issuer="dog"),
    ]
    return chance.choice(makers)(), NOTHING


def replayed(chance: random.Random) -> Attempt:
    """Say again what was said."""
    command = genuine(chance)
    return command, CommandHistory(seen=True, sequence_last=chance.choice([-1, command.sequence]))


def stale(chance: random.Random) -> Attempt:
    """Say what should be fresh too late, too early, for too long or out of sequence."""
    name = chance.choice(FRESH_ONLY)
    beyond = timedelta(microseconds=chance.randrange(1, 10 ** chance.randrange(1, 12)))
    makers: list[Callable[[], Attempt]] = [
        lambda: (genuine(chance, name, now=NOW - LIFETIME_MAX - beyond), NOTHING),
        lambda: (genuine(chance, name, now=NOW + CLOCK_TOLERANCE + beyond), NOTHING),
        lambda: (genuine(chance, name, lifetime=LIFETIME_MAX + beyond), NOTHING),
        lambda: (genuine(chance, name, now=NOW), CommandHistory(sequence_last=2**62)),
    ]
    return chance.choice(makers)()


KINDS: Final[dict[Callable[[random.Random], Attempt], set[CommandRefusal]]] = {
    forged_field: {CommandRefusal.BAD_SIGNATURE},
    forged_signature: {CommandRefusal.BAD_SIGNATURE},
    unknown_key: {CommandRefusal.UNKNOWN_KEY},
    out_of_scope: {CommandRefusal.OUT_OF_SCOPE},
    replayed: {CommandRefusal.REPLAYED},
    stale: {
        CommandRefusal.EXPIRED,
        CommandRefusal.ISSUED_IN_THE_FUTURE,
        CommandRefusal.LIFETIME_TOO_LONG,
        CommandRefusal.OLD_SEQUENCE,
    },
}


def refusal(command: ControlCommanded, history: CommandHistory, *, now: datetime = NOW) -> CommandRefusal | None:
    wired = ControlCommanded.model_validate_json(command.model_dump_json())
    return verify(wired, operators=OPERATORS, accounts=("main", "second"), now=now, history=history)


def test_none_of_ten_thousand_forged_replayed_expired_or_out_of_scope_commands_is_accepted() -> None:
    chance = random.Random(20_261_123)
    found: Counter[CommandRefusal | None] = Counter()

    for number in range(10_000):
        kind = list(KINDS)[number % len(KINDS)]
        why = refusal(*kind(chance))
        assert why in KINDS[kind], (number, kind.__name__, why)
        found[why] += 1

    assert found[None] == 0
    assert set(found) == set(CommandRefusal)


def test_every_halt_is_accepted_however_late_out_of_sequence_and_whatever_the_clock() -> None:
    chance = random.Random(7)
    for _ in range(3_000):
        key, issuer = chance.choice([(ALICE, "alice"), (DOG, "dog")])
        off_s = chance.choice([-1, 1]) * 10 ** chance.uniform(-3, 8)
        halt = genuine(
            chance, "HALT", key=key, issuer=issuer, now=NOW, lifetime=timedelta(seconds=10 ** chance.uniform(-3, 6))
        )
        history = CommandHistory(sequence_last=chance.choice([-1, halt.sequence, 2**62]))

        assert refusal(halt, history, now=NOW + timedelta(seconds=off_s)) is None


def test_every_other_genuine_command_is_accepted_while_it_is_fresh() -> None:
    chance = random.Random(8)
    for _ in range(1_000):
        command = genuine(chance, chance.choice(FRESH_ONLY), now=NOW - timedelta(seconds=chance.uniform(0, 29)))

        assert refusal(command, CommandHistory(sequence_last=command.sequence - 1)) is None
