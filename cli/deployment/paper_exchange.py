"""Starts the paper exchange of a deployment on the market that the configuration names, in this process's place.

Invariant: this process becomes the exchange, so that it gets the signals and has no parent to wait for.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cli.stack.exchange_settings import exchange_environment
from libs.common.configuration import load_sourced
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
    settings = load_settings(ServiceSettings)
    configuration = load_sourced(settings.config_files, variables).configuration
    scenario_file = scratch / "scenario.json"
    write_atomically(scenario_file, json.dumps(configuration.market.generated.model_dump(mode="json")))
    told = exchange_environment(
        configuration.market,
        configuration.symbols,
        host=ANYWHERE,
        port=PORT,
        data_dir=Path(variables["TRADER_DATA_DIR"]) / "paper_exchange",
        scenario_file=scenario_file,
    )
    become(sys.executable, (sys.executable, "-m", "services.paper_exchange"), {**told, **variables})


if __name__ == "__main__":
    main()
