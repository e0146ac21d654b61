"""A trading deployment whose containers crash, freeze and lose their networks, one after the other, and trades again.

`make test-compose FAULTS=all` does everything to everybody; otherwise everybody is killed, and what orders depend on is
frozen and cut off too.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.container_faults import FAULTS, container_of
from tests.compose.trading_deployment import CLOCK, GIVEN_UP_S_MAX, TradingDeployment, trading_deployment

STORES = ("kafka", "redis", "postgres")
OWNERS = ("risk_manager", "trade_executor", "position_manager", "audit_recorder")
SERVICES = ("market_monitor", "signal_generator", *OWNERS, "notifier", "watchdog", "paper_exchange", "proxy")
DEPENDED_ON = (*STORES, "paper_exchange", "risk_manager", "trade_executor")
RECOVERED_S_MAX = 20.0

Recovery = tuple[str, str, str, str]


def cases() -> list[tuple[str, str]]:
    """Return who is hurt how."""
    everything = os.environ.get("FAULTS") == "all"
    return [
        (service, fault)
        for fault in FAULTS
        for service in (*STORES, *SERVICES)
        if everything or fault == "killed" or service in DEPENDED_ON
    ]


@pytest.fixture(scope="module")
def trading(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TradingDeployment]:
    """Start a deployment that trades as often as it can."""
    del images
    with trading_deployment(tmp_path_factory.mktemp("faults")) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def recoveries() -> list[Recovery]:
    """Collect how long each took."""
    return []


@pytest.mark.parametrize(("service", "fault"), cases())
def test_it_trades_again(
    trading: TradingDeployment,
    recoveries: list[Recovery],
    service: str,
    fault: str,
    capsys: pytest.CaptureFixture[str],
):
    trading.await_everybody()
    container = container_of(trading.project, service)

    FAULTS[fault](container)
    ended_at_s = CLOCK.now().timestamp()
    well_s = trading.await_health(container, ended_at_s)
    entry_s = trading.await_entry(ended_at_s + well_s, within_s=GIVEN_UP_S_MAX)

    recovered_s = None if entry_s is None else well_s + entry_s
    shown = "never" if recovered_s is None else f"{recovered_s:.1f}"
    recoveries.append((service, fault, f"{well_s:.1f}", shown))
    with capsys.disabled():
        print(f"\n{service} {fault}: well after {well_s:.1f} s, an entry after {shown} s")  # noqa: T201 - progress
    if recovered_s is None or recovered_s > RECOVERED_S_MAX:
        why = trading.why()
        trading.resume()
        pytest.fail(f"expected an entry within {RECOVERED_S_MAX:g} s, found one after {shown} s: {why}")


def test_afterwards_the_books_agree_with_the_exchange(
    trading: TradingDeployment, recoveries: list[Recovery], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with capsys.disabled():
        for service, fault, well_s, entry_s in [("\ncontainer", "fault", "well s", "entry s"), *recoveries]:
            print(f"{service:<18}{fault:<10}{well_s:>8}{entry_s:>9}")  # noqa: T201 - the table that this is for

    trading.prove(tmp_path)
