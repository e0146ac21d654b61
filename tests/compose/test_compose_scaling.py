"""Replicas of the signal generator: they share the work, lose no signal and add none, whoever comes and goes."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from libs.common.configuration import load_configuration
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import CandleClosed, SignalGenerated
from libs.common.messaging.cause import Cause, enclose
from libs.policy import configured_strategy
from services.signal_generator.adapters import complete_before
from services.signal_generator.service import SignalGenerator
from tests.compose.candle_load import SYMBOLS
from tests.compose.conftest import COMMAND_S_MAX, ROOT, ComposeProject, project
from tests.compose.container_faults import containers_of
from tests.compose.trading_deployment import TRADING

SERVICE = "signal_generator"
LOAD, RECORDED = (Path(__file__).with_name(name) for name in ("candle_load.py", "recorded.py"))
WARM_UP = 10
COUNT = 1_500
IDLE_S = 20.0
HANDLED_S_MAX = 600.0
LOOK_S = 1.0
SCRAPE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/metrics', timeout=10).read().decode())"
CPU = re.compile(r"^process_cpu_seconds_total (\S+)$", re.MULTILINE)
HANDLED = re.compile(
    r'^trader_messages_handled_total\{topic="market.candles",type="CandleClosed"\} (\S+)$', re.MULTILINE
)


class Spent(NamedTuple):
    """What the replicas have spent so far, and on how many candles."""

    cpu_s: float
    handled: float


class Replicas:
    """A cluster with nothing on it but replicas of the signal generator and made-up candles."""

    def __init__(self, deployment: ComposeProject) -> None:
        self.deployment = deployment
        self.written = 0

    def scale(self, count: int) -> None:
        """Have so many of them, all ready."""
        self.deployment.compose(
            *("up", "--detach", "--wait", "--no-deps", "--no-recreate", "--scale", f"{SERVICE}={count}", SERVICE)
        )

    def load(self, count: int, *, pause_s: float = 0.0) -> subprocess.Popen[str]:
        """Begin to write candles of every symbol, each the one after the last."""
        command = self._in_a_container(LOAD, str(self.written), str(count), str(pause_s))
        self.written += count
        return subprocess.Popen(command, cwd=ROOT, env=self.deployment.environment, text=True)

    def handle(self, count: int) -> None:
        """Write candles and wait until they are handled."""
        before = self.spent().handled
        assert self.load(count).wait(COMMAND_S_MAX) == 0
        ends_at_s = time.monotonic() + HANDLED_S_MAX
        while self.spent().handled < before + count * len(SYMBOLS):
            assert time.monotonic() < ends_at_s
            time.sleep(LOOK_S)

    def spent(self) -> Spent:
        """Return what all replicas together have spent."""
        pages = [
            self.deployment.docker("exec", container.id, "python", "-c", SCRAPE)
            for container in containers_of(self.deployment, SERVICE)
        ]
        found = ((CPU.search(page), HANDLED.search(page)) for page in pages)
        both = [(float(cpu[1]) if cpu else 0.0, float(handled[1]) if handled else 0.0) for cpu, handled in found]
        return Spent(sum(cpu for cpu, _ in both), sum(handled for _, handled in both))

    def cost_ms(self) -> tuple[float, float]:
        """Return what a candle costs beyond what replicas without work do, in ms; and that, in CPU seconds a second."""
        self.handle(WARM_UP)
        idle_from, began_s = self.spent(), time.monotonic()
        time.sleep(IDLE_S)
        before, loaded_s = self.spent(), time.monotonic()
        idle = (before.cpu_s - idle_from.cpu_s) / (loaded_s - began_s)
        self.handle(COUNT)
        after, done_s = self.spent(), time.monotonic()
        spent_s = after.cpu_s - before.cpu_s - idle * (done_s - loaded_s)
        return 1_000 * spent_s / (after.handled - before.handled), idle

    def recorded(self, topic: str) -> list[dict[str, Any]]:
        """Return every event of a topic."""
        done = subprocess.run(
            self._in_a_container(RECORDED, topic),
            cwd=ROOT,
            env=self.deployment.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=COMMAND_S_MAX,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _in_a_container(self, program: Path, *arguments: str) -> Sequence[str]:
        return (
            *("docker", "compose", "--project-name", self.deployment.name, "run", "--rm", "--no-TTY", "--no-deps"),
            *("--volume", f"{program}:/program.py:ro", "--entrypoint", "python", "topics", "/program.py", *arguments),
        )


@pytest.fixture(scope="module")
def replicas(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Start a broker with its topics, and one replica."""
    del images
    variables = {"TRADER_CONFIGURATION": str(TRADING)}
    with project(tmp_path_factory.mktemp("scaling"), variables=variables) as deployment:
        deployment.up("kafka")
        for job in ("access", "topics"):
            deployment.compose("run", "--rm", "--no-deps", "--no-TTY", job)
        replicas = Replicas(deployment)
        replicas.scale(1)
        yield replicas


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")  # noqa: T201 - measured, for the reader of the run

    return say


def test_a_candle_costs_four_replicas_what_it_costs_one(replicas: Replicas, say: Callable[[str], None]):
    one_ms, one_idle = replicas.cost_ms()
    replicas.scale(4)
    four_ms, four_idle = replicas.cost_ms()

    say(
        f"CPU of a candle: one replica {one_ms:.3f} ms, four {four_ms:.3f} ms, {four_ms / one_ms:.2f} x; "
        f"idle: {one_idle:.3f} and {four_idle:.3f} of a core"
    )
    assert four_ms < 2 * one_ms  # the ratio itself is for the reader: it is the machine's as much as ours


def test_no_signal_is_lost_or_added_while_replicas_come_and_go(replicas: Replicas, say: Callable[[str], None]):
    with replicas.load(COUNT, pause_s=0.5) as loading:
        replicas.scale(2)
        containers_of(replicas.deployment, SERVICE)[0].kill()
        replicas.scale(4)
        containers_of(replicas.deployment, SERVICE)[-1].kill()
        assert loading.wait(COMMAND_S_MAX) == 0
    expected = asyncio.run(signals_of_one(replicas.recorded("market.candles")))

    found: dict[str, dict[str, Any]] = {}
    records, ends_at_s = 0, time.monotonic() + HANDLED_S_MAX
    while found.keys() != expected.keys() and time.monotonic() < ends_at_s:
        written = [line["event"] for line in replicas.recorded("signals") if line["type"] == "SignalGenerated"]
        records, found = len(written), {signal["signal_id"]: signal for signal in written}

    say(f"{len(expected)} signals of {replicas.written * len(SYMBOLS)} candles, {records - len(found)} told twice")
    assert sorted(expected.keys() ^ found.keys()) == []
    assert found == expected


async def signals_of_one(lines: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the signals that one replica makes of the candles that were written, by their id."""
    configuration = load_configuration([TRADING])
    candles = [CandleClosed.model_validate(line["event"]) for line in lines]

    class History:
        async def before(self, symbol: str, interval_s: int, open_at: datetime, count: int) -> Sequence[CandleClosed]:
            return complete_before([each for each in candles if each.symbol == symbol], interval_s, open_at)[-count:]

    generator = SignalGenerator(
        create=lambda symbol: configured_strategy(configuration, symbol),
        interval_s=1,
        quality_min=lambda: configuration.strategy.quality_min,
        history=History(),
    )

    def enclosed(candle: CandleClosed) -> Envelope[CandleClosed]:
        return enclose(candle, cause=Cause.none(), ordinal=0, now=candle.close_at)  # type: ignore[return-value]

    answers = [answer for candle in candles for answer in await generator.on_candle(enclosed(candle))]
    return {each.signal_id: each.model_dump(mode="json") for each in answers if isinstance(each, SignalGenerated)}
