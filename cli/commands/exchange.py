"""`trader exchange`: the paper exchange alone, in the foreground."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, emit_pairs


def exchange(
    market: Annotated[
        str,
        typer.Option("--market", help="Where prices come from: recorded, generated, or binance (live; needs no key)."),
    ] = "recorded",
    port: Annotated[
        int | None,
        typer.Option("--port", help="Where it listens. Default: where it did before.", min=1, max=65_535),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the generated market.")] = 1,
    binance_rest: Annotated[
        str,
        typer.Option("--binance-rest", help="The live market's REST API.", envvar="PAPER_EXCHANGE_BINANCE_REST_URL"),
    ] = "https://data-api.binance.vision",
    binance_ws: Annotated[
        str,
        typer.Option("--binance-ws", help="The live market's streams.", envvar="PAPER_EXCHANGE_BINANCE_WS_URL"),
    ] = "wss://data-stream.binance.vision",
    admin_port: Annotated[
        int | None,
        typer.Option(
            "--admin-port",
            help="Also let it be told to fail, on this port of its own (0: a free one), with a key of its own.",
            envvar="PAPER_EXCHANGE_ADMIN_PORT",
            min=0,
            max=65_535,
        ),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Run the paper exchange alone: Binance's API for programs of your own, with play money."""
    from cli.stack.exchange import BinanceAddresses, run_exchange  # noqa: PLC0415 - libraries that cost half a second
    from cli.stack.plain import PlainView  # noqa: PLC0415
    from libs.common.configuration import parse_configuration  # noqa: PLC0415

    configuration = parse_configuration({"market": {"source": market, "seed": seed}}, where="trader exchange")
    addresses = BinanceAddresses(rest=binance_rest, ws=binance_ws) if configuration.market.source == "binance" else None

    def show(content: dict[str, Any]) -> None:
        if as_json:
            emit_json(content)
        else:
            emit_pairs(content, as_json=False)
        sys.stdout.flush()  # whoever started it waits for this line

    status = asyncio.run(
        run_exchange(
            data_dir,
            market=configuration.market,
            symbols=configuration.symbols,
            addresses=addresses,
            port=port,
            admin_port=admin_port,
            on_event=PlainView().on_event,
            on_ready=show,
        )
    )
    raise typer.Exit(status)
