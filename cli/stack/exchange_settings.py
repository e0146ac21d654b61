"""What the paper exchange is told: the variables that a configuration's market means, wherever it runs."""

from pathlib import Path

from libs.common.configuration.market import MarketSection


def exchange_environment(
    market: MarketSection,
    symbols: tuple[str, ...],
    accounts: tuple[str, ...] | None,
    *,
    host: str,
    port: int,
    data_dir: Path,
    scenario_file: Path | None,
) -> dict[str, str]:
    """Return the variables.

    Args:
        market: Where prices come from.
        symbols: What it trades.
        accounts: Who trades there besides the visitor; None: whom the exchange itself is told of.
        host: The address it listens on.
        port: Where it listens.
        data_dir: Its own data directory.
        scenario_file: What is to happen on the generated market.
    """
    environment = {
        "PAPER_EXCHANGE_HOST": host,
        "PAPER_EXCHANGE_PORT": str(port),
        "PAPER_EXCHANGE_DATA_DIR": str(data_dir),
        "PAPER_EXCHANGE_MARKET": market.source,
        "PAPER_EXCHANGE_SEED": str(market.seed),
        "PAPER_EXCHANGE_SPEED": str(market.speed),
        "PAPER_EXCHANGE_SYMBOLS": ",".join(symbol.replace("/", "") for symbol in symbols),
    }
    if accounts is not None:
        environment["PAPER_EXCHANGE_ACCOUNTS"] = ",".join(accounts)
    if market.source == "generated" and scenario_file is not None:
        environment["PAPER_EXCHANGE_SCENARIO_FILE"] = str(scenario_file)
    return environment
