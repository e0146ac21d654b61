"""`trader exchange`: the paper exchange alone, in the foreground."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, emit_pairs


def exchange(
    market: Annotated[
        str, typer.Option("--market", help="Where prices come from: recorded or generated.")
    ] = "recorded",
    port: Annotated[
        int | None,
        typer.Option("--port", help="Where it listens. Default: where it did before.", min=1, max=65_535),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the generated market.")] = 1,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Run the paper exchange alone: Binance's API for programs of your own, with play money."""
    from cli.stack.exchange import run_exchange  # noqa: PLC0415 - the stack's libraries cost half a second
    from cli.stack.plain import PlainView  # noqa: PLC0415
    from cli.stack.plan import check_startable  # noqa: PLC0415
    from libs.common.configuration import parse_configuration  # noqa: PLC0415

    configuration = parse_configuration({"market": {"source": market, "seed": seed}}, where="trader exchange")
    check_startable(configuration, where="trader exchange")

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
            port=port,
            on_event=PlainView().on_event,
            on_ready=show,
        )
    )
    raise typer.Exit(status)
