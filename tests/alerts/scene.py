"""A stack that trades, watched by Prometheus and Alertmanager with the project's own files, and people who are told.

Invariant: a delay counts from the moment at which the fault stands to the arrival of the message at the channel.
"""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from deploy.monitoring.routing import INHIBITIONS
from libs.embedded.services import Service
from tests.alerts.broker import Broker
from tests.alerts.programs import LOOPBACK, Alertmanager, Program, free_port
from tests.alerts.provocation import Act, Provocation, Told
from tests.alerts.told import People
from tests.chaos import faults
from tests.chaos.arena import Arena, Unsettled

QUIET_S_MAX: Final = 420.0
LATE_S_MAX: Final = 60.0
"""So long somebody who is late is waited for, that the table may say how late."""
LOOK_S: Final = 0.1


@dataclass
class Scene:
    """Everything that faults are made of."""

    root: Path
    arena: Arena
    broker: Broker
    people: People
    services: Mapping[str, Service]
    session: aiohttp.ClientSession
    prometheus: str
    alertmanager: Alertmanager
    exporters: Mapping[str, Program]
    more: Path
    rows: list[Told] = field(default_factory=list)
    _began_at_s: dict[str, float] = field(default_factory=dict)
    _provokes: Mapping[str, Provocation] = field(default_factory=dict)

    async def perform(self, act: Act) -> list[str]:
        """Perform an act and note what it provoked; return what went wrong."""
        problems: list[str] = []
        self._provokes = act.provokes
        try:
            await (self.until_trading() if act.needs_trading else self.until_ready())
            if wanted := set(act.provokes) - {"Watchdog"}:
                await self._begin_anew(wanted)
            await act.run(self)
        except (Unsettled, TimeoutError, OSError, aiohttp.ClientError, asyncpg.PostgresError) as error:
            problems.append(f"{act.name}: {error!r} at {traceback.extract_tb(error.__traceback__)[-1]}")
        for alert, provocation in act.provokes.items():
            began_at_s, told_at_s = self._began_at_s.get(alert), self.people.told_at_s.get(alert)
            is_told = began_at_s is not None and told_at_s is not None
            measured_s = told_at_s - began_at_s if is_told else None  # type: ignore[operator]  # both are there
            self.rows.append(Told(alert=alert, provocation=provocation, measured_s=measured_s))
        return problems

    def begin(self, *alerts: str) -> None:
        """Take note that the faults of these alerts stand now."""
        for alert in alerts:
            self.people.forget(alert)
            self._began_at_s[alert] = now_s()

    async def until_told(self, *alerts: str) -> None:
        """Wait until people know of these alerts; who is late is waited for, too, but not for ever."""
        for alert in alerts:
            ends_s = self._began_at_s[alert] + self._provokes[alert].stated_s(alert) + LATE_S_MAX
            while now_s() < ends_s:
                if alert in self.people.told_at_s:
                    break
                await asyncio.sleep(LOOK_S)

    async def until(self, probe: Callable[[], Awaitable[Any]], *, seconds: float, what: str) -> Any:
        """Return the first truthy answer.

        Raises:
            Unsettled: None came in time.
        """
        ends_s, answer = now_s() + seconds, None
        while not (answer := await probe()):
            if now_s() > ends_s:
                raise Unsettled(f"expected {what} within {seconds:g} s, found {answer!r}")
            await asyncio.sleep(LOOK_S)
        return answer

    async def metric(self, service: str, name: str, **labels: str) -> float:
        """Return a service's own figure, the sum of the samples that have these labels; 0 where there is none."""
        status = next(each for each in self.arena.stack.snapshot() if each.name == service)
        assert status.metrics_url is not None
        async with self.session.get(status.metrics_url) as response:
            text = await response.text()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def until_metric(
        self, service: str, name: str, is_so: Callable[[float], bool], *, seconds: float, **labels: str
    ) -> float:
        """Return a service's figure as soon as it is so."""
        found: list[float] = []

        async def look() -> bool:
            found[:] = [await self.metric(service, name, **labels)]
            return is_so(found[0])

        await self.until(look, seconds=seconds, what=f"another {name} of {service}")
        return found[0]

    async def firing(self) -> set[str]:
        """Return the alerts that fire, or will if it goes on."""
        async with self.session.get(f"{self.prometheus}/api/v1/alerts") as response:
            content = await response.json()
        return {alert["labels"]["alertname"] for alert in content["data"]["alerts"]}

    async def ask(self, expression: str) -> list[str]:
        """Return the values that an expression of PromQL yields now."""
        async with self.session.get(f"{self.prometheus}/api/v1/query", params={"query": expression}) as response:
            content = await response.json()
        return [str(sample["value"][1]) for sample in content["data"]["result"]]

    async def arm(self, kind: str, *, on: Mapping[str, str] | None = None, **settings: Any) -> None:
        """Have the exchange fail."""
        fault = {"kind": kind, **({"on": on} if on else {}), **settings}
        await faults.arm(self.arena.tail.directory.parent, fault)

    async def ask_exchange(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """Ask the exchange's admin API."""
        admin = json.loads((self.arena.tail.directory.parent / "admin.json").read_text(encoding="utf-8"))
        headers = {"Authorization": f"Bearer {admin['key']}"}
        async with self.session.request(method, admin["url"] + path, json=content, headers=headers) as response:
            answer = await response.text()
            if not response.ok:
                raise Unsettled(f"{method} {path}: expected the exchange to do it, found {answer}")
            return json.loads(answer)

    async def until_struck(self, kind: str) -> None:
        """Wait until a fault of the exchange has struck."""

        async def has_struck() -> bool:
            strikes = (await self.ask_exchange("GET", "/strikes"))["strikes"]
            return any(strike["kind"] == kind for strike in strikes)

        await self.until(has_struck, seconds=60, what=f"a strike of {kind}")

    async def configure(self, **changes: str) -> None:
        """Change the configuration; two underscores stand for the dot."""
        await self.arena.command(
            "CONFIGURE", "a provocation", changes={key.replace("__", "."): value for key, value in changes.items()}
        )

    def beside(self, name: str, module: str, command: tuple[str, ...], **environment: str) -> tuple[Program, str]:
        """Return another process of a service of ours, and where its metrics will be."""
        port = free_port()
        settings = {**self.services[module].environment, "TRADER_HEALTH_PORT": str(port), **environment}
        return Program(command, self.root / f"{name}.log", settings), f"{LOOPBACK}:{port}"

    def watch(self, *targets: tuple[str, str]) -> None:
        """Have Prometheus look at these besides, each a job and an address; none: at nothing more."""
        content = [{"targets": [address], "labels": {"job": job}} for job, address in targets]
        scratch = self.more.with_suffix(".new")
        scratch.write_text(json.dumps(content), encoding="utf-8")
        scratch.rename(self.more)

    async def until_ready(self) -> None:
        """Wait until every process can do its work."""

        async def is_ready() -> bool:
            return self.arena.is_ready()

        await self.until(is_ready, seconds=300, what="everything ready")

    async def until_trading(self) -> None:
        """Wait until everything is ready and ACTIVE again, as far as that is for an operator to do."""
        await self.until_ready()
        ends_s = now_s() + 120.0
        while now_s() < ends_s:
            (row,) = await self.arena.query("SELECT state, halts FROM reading.trading_state WHERE account = 'main'")
            if row["state"] == "ACTIVE":
                return
            await self.arena.command("RESUME" if row["state"] == "HALTED" else "START", "the next act")
            await asyncio.sleep(0.5)
        raise Unsettled("expected the account to be ACTIVE again within two minutes, found that it is not")

    async def _begin_anew(self, wanted: set[str]) -> None:
        """Start Alertmanager with an empty memory, once nothing that is wanted, nor what would hold it back, fires."""
        causes = {cause for cause, effects, _ in INHIBITIONS if wanted & set(effects.split("|"))}

        async def is_quiet() -> bool:
            return not await self.firing() & (wanted | causes)

        await self.until(is_quiet, seconds=QUIET_S_MAX, what=f"nothing of {sorted(wanted | causes)} firing")
        await self.alertmanager.restart()


def now_s() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()
