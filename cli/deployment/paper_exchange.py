"""Starts the paper exchange of a deployment on the market that the configuration names, in this process's place.

Invariant: this process becomes the exchange, so that it gets the signals and has no parent to wait for. What it cannot
run is refused here, since it would be restarted again and again there.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cli.errors import ExitStatus
from cli.stack.exchange_keys import refuse_visitor
from cli.stack.exchange_settings import exchange_environment
from libs.common.configuration import TradingConfiguration, load_sourced
from libs.common.errors import ConfigurationError
from libs.common.settings import ServiceSettings, load_settings
from libs.embedded.directory import write_atomically

PORT: Final = 9_000
ANYWHERE: Final = "0.0.0.0"

Become = Callable[[str, tuple[str, ...], Mapping[str, str]], Any]


def main(variables: Mapping[str, str] = os.environ, become: Become = os.execve, scratch: Path = Path("/tmp")) -> None:  # noqa: S108 - this container's own
    """Become the paper exchange; its own variables stand over what the configuration means.

    Args:
        variables: The environment.
        become: Replaces this process by a program.
        scratch: Where the scenario goes.
    """
    try:
        configuration = _configuration(variables)
    except ConfigurationError as error:
        print(f"paper exchange: {error}", file=sys.stderr)  # noqa: T201 - the reader is a person
        sys.exit(ExitStatus.CONFIGURATION)
    scenario_file = scratch / "scenario.json"
    write_atomically(scenario_file, json.dumps(configuration.market.generated.model_dump(mode="json")))
    told = exchange_environment(
        configuration.market,
        configuration.symbols,
        configuration.exchange.accounts,
        host=ANYWHERE,
        port=PORT,
        data_dir=Path(variables["TRADER_DATA_DIR"]) / "paper_exchange",
        scenario_file=scenario_file,
    )
    become(sys.executable, (sys.executable, "-m", "services.paper_exchange"), {**told, **variables})


def _configuration(variables: Mapping[str, str]) -> TradingConfiguration:
    settings = load_settings(ServiceSettings)
    configuration = load_sourced(settings.config_files, variables).configuration
    where = ", ".join(str(path) for path in settings.config_files)
    refuse_visitor(configuration.exchange.accounts, where=where)
    if configuration.market.source == "binance":
        raise ConfigurationError(
            where=f"{where}: market.source",
            expected="recorded or generated",
            found="binance: a deployment's paper exchange has no way out",
            hint="use `trader exchange --market binance` on the machine itself for live prices",
        )
    return configuration


if __name__ == "__main__":
    main()
