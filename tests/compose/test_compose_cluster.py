"""Three brokers and hot standbys: a dead broker interrupts nobody for long, and a standby takes over from its owner."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compose.conftest import COMMAND_S_MAX, ROOT
from tests.compose.container_faults import Container, container_of, containers_of
from tests.compose.trading_deployment import CLOCK, GIVEN_UP_S_MAX, LOOK_S, TradingDeployment, trading_deployment

CLUSTER = "deploy/cluster/compose.yml"
GAPS = Path(__file__).with_name("gaps.py")
HEARD = ("market.ticks", "market.candles", "account.equity")
"""Each is told at least once a second: by the market monitor, and by an owner through its database."""

BROKERS = ("kafka", "kafka2", "kafka3")
OWNERS = ("risk_manager", "trade_executor", "position_manager", "audit_recorder")
INTERRUPTION_S_MAX = 5.0
TAKEN_OVER_S_MAX = 20.0
LISTENED_S = 20.0


@pytest.fixture(scope="module")
def trading(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TradingDeployment]:
    """Start the cluster, trading."""
    del images
    with trading_deployment(tmp_path_factory.mktemp("cluster"), CLUSTER) as deployment:
        yield deployment


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> object:
    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")  # noqa: T201 - measured, for the reader of the run

    return say


@contextmanager
def listening(trading: TradingDeployment, silences_s: dict[str, float]) -> Iterator[None]:
    """Listen to the topics while the block runs; afterwards `silences_s` has the longest silence on each."""
    project = trading.project
    command = (
        *("docker", "compose", "--project-name", project.name, "run", "--rm", "--no-TTY", "--no-deps"),
        *("--volume", f"{GAPS}:/gaps.py:ro", "--entrypoint", "python", "topics", "/gaps.py", *HEARD),
    )
    with subprocess.Popen(
        command, cwd=ROOT, env=project.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as heard:
        assert heard.stdout is not None
        assert heard.stdout.readline() == "listening\n"
        yield
        output, _ = heard.communicate(timeout=COMMAND_S_MAX)
        silences_s |= json.loads(output)


def owner_of(trading: TradingDeployment, role: str) -> str:
    """Return the host name of the container that owns a role."""
    holder = trading.project.sql(f"SELECT holder FROM {role}.ownership WHERE role = '{role}'").strip()
    return holder.removeprefix(f"{role} ").partition(":")[0]


def await_another_owner(trading: TradingDeployment, role: str, before: str, since_s: float) -> float:
    """Wait until another container owns a role; return how long that took since a moment."""
    while owner_of(trading, role) == before:
        assert CLOCK.now().timestamp() < since_s + TAKEN_OVER_S_MAX, f"{before} still owns {role}: {trading.why()}"
        time.sleep(LOOK_S)
    return CLOCK.now().timestamp() - since_s


def the_owner(trading: TradingDeployment, role: str) -> Container:
    host = owner_of(trading, role)
    return next(found for found in containers_of(trading.project, role) if found.id.startswith(host))


@pytest.mark.parametrize("broker", BROKERS)
def test_a_broker_that_dies_under_load_interrupts_nobody_for_long(trading: TradingDeployment, broker: str, say):
    trading.await_everybody()
    usual_s: dict[str, float] = {}
    silences_s: dict[str, float] = {}
    with listening(trading, usual_s):
        time.sleep(LISTENED_S / 2)

    with listening(trading, silences_s):
        container_of(trading.project, broker).kill()
        killed_at_s = CLOCK.now().timestamp()
        time.sleep(LISTENED_S)

    entry_s = trading.await_entry(killed_at_s, within_s=GIVEN_UP_S_MAX)
    longest = {topic: f"{silence_s:.1f} s (usually {usual_s[topic]:.1f} s)" for topic, silence_s in silences_s.items()}
    say(f"{broker} killed: longest silence {longest}, entry after {entry_s} s")
    assert silences_s.keys() == set(HEARD)
    assert max(silences_s.values()) <= INTERRUPTION_S_MAX
    assert entry_s is not None, trading.why()


@pytest.mark.parametrize("role", OWNERS)
def test_a_standby_takes_over_from_an_owner_that_was_killed(trading: TradingDeployment, role: str, say):
    trading.await_everybody()
    owner = the_owner(trading, role)
    before = owner_of(trading, role)

    owner.kill()
    killed_at_s = CLOCK.now().timestamp()

    taken_s = await_another_owner(trading, role, before, killed_at_s)
    entry_s = trading.await_entry(killed_at_s + taken_s, within_s=TAKEN_OVER_S_MAX)
    say(f"{role} killed: another owns it after {taken_s:.1f} s, entry {entry_s} s later")
    assert entry_s is not None, trading.why()


def test_a_standby_takes_over_from_an_executor_that_is_frozen(trading: TradingDeployment, say):
    trading.await_everybody()
    owner = the_owner(trading, "trade_executor")
    before = owner_of(trading, "trade_executor")

    owner.freeze()
    thawed_at_s = CLOCK.now().timestamp()

    taken_s = await_another_owner(trading, "trade_executor", before, thawed_at_s)
    entry_s = trading.await_entry(thawed_at_s + taken_s, within_s=TAKEN_OVER_S_MAX)
    say(f"trade_executor frozen: entry {entry_s} s after the thaw")
    assert entry_s is not None, trading.why()


def test_afterwards_the_books_agree_with_the_exchange(trading: TradingDeployment, tmp_path: Path):
    trading.await_everybody()

    trading.prove(tmp_path)
