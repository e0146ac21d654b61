"""Whether a deployment may trade for real: everything that must be said and given for it, looked at before it starts.

Invariant: nothing of the profile `live` starts before this has said yes.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from cli.deployment.secrets import LIVE_KEYS
from cli.stack.exchange_keys import installed_file
from libs.common.configuration import TradingConfiguration
from libs.common.settings import ServiceSettings
from libs.embedded.directory import write_atomically

PAPER_INSTALLATION = "paper0"
ARMED = "TRADER_LIVE_ARMED"


def objections(
    settings: ServiceSettings, configuration: TradingConfiguration, variables: Mapping[str, str]
) -> Iterator[str]:
    """Yield what stands against trading for real: what is expected, what was found, and where.

    Args:
        settings: Where the exchange and the secrets are.
        configuration: What is traded.
        variables: The environment.
    """
    accounts = configuration.exchange.accounts
    if configuration.engine.enable_paper_trading:
        yield "engine.enable_paper_trading: expected false, found true: name a configuration with TRADER_CONFIGURATION"
    armed = {name.strip() for name in variables.get(ARMED, "").split(",")}
    if unarmed := [account for account in accounts if account not in armed]:
        yield f"{ARMED}: expected every account that may trade for real, found none of {', '.join(unarmed)}"
    for name, url, scheme in (
        ("TRADER_EXCHANGE_REST_URL", settings.exchange_rest_url, "https://"),
        ("TRADER_EXCHANGE_WS_URL", settings.exchange_ws_url, "wss://"),
    ):
        if not url.startswith(scheme):
            yield f"{name}: expected the real exchange, by {scheme}, found {url}"
    if settings.installation == PAPER_INSTALLATION:
        yield f"TRADER_INSTALLATION: expected six characters of this installation's own, found {PAPER_INSTALLATION}"
    if settings.start_active:
        yield "TRADER_START_ACTIVE: expected false, found true: real trading begins with `trader start`"
    for name in LIVE_KEYS:
        if complaint := _complaint(settings.secrets_dir / name, accounts):
            yield complaint


def install_keys(secrets_dir: Path, directory: Path) -> None:
    """Give each service the one key that it needs, where it finds the paper exchange's otherwise."""
    for name in LIVE_KEYS:
        right = name.removeprefix("exchange-").removesuffix(".json")
        write_atomically(installed_file(directory, right), (secrets_dir / name).read_text(encoding="utf-8"))


def _complaint(path: Path, accounts: tuple[str, ...]) -> str:
    """Return what is wrong with a file of keys; empty: nothing. What is in it is never shown."""
    expected = f'{path}: expected JSON {{account: {{"api_key", "api_secret"}}}} for {", ".join(accounts)}'
    try:
        keys = json.loads(path.read_bytes())
        found = [account for account in accounts if keys[account]["api_key"] and keys[account]["api_secret"]]
    except OSError as error:
        return f"{expected}, found: {error.strerror}"
    except (ValueError, TypeError, KeyError):
        return f"{expected}, found something else"
    return "" if len(found) == len(accounts) else f"{expected}, found an empty key"
