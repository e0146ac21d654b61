"""`trader up`, `down`, `ps`, `logs`, `endpoints`: the stack and its processes."""

import asyncio
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, emit_pairs, emit_rows, tell
from cli.place import find_place, run
from libs.embedded.directory import DataDirectory

PROCESS_COLUMNS: Final = ("name", "pid", "state", "restarts", "uptime_s", "rss_mb", "ready", "metrics_url")
FOLLOW_INTERVAL_S: Final = 0.3


def up(
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", help="The configuration; several files form one. Default: the demo."),
    ] = None,
    market: Annotated[
        str | None, typer.Option("--market", help="Where prices come from: recorded or generated.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the generated market.")] = None,
    symbols: Annotated[str | None, typer.Option("--symbols", help="Markets, separated by commas.")] = None,
    run_for: Annotated[str | None, typer.Option("--for", help="Stop cleanly after this time, e.g. 60s.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write what happened to this JSON file.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is ready; stop it with `down`.")] = False,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Start no dashboard.", hidden=True)] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Start the whole stack and keep it running: stores, paper exchange, every service."""
    del no_dashboard  # this version starts none; the option is part of the interface
    from cli.stack.plan import make_plan  # noqa: PLC0415 - the stack's libraries cost half a second

    plan = make_plan(config, market=market, seed=seed, symbols=symbols, run_for=run_for, report_file=report)
    if detach:
        from cli.stack.up import detach as start_detached  # noqa: PLC0415

        pid = start_detached([argument for argument in sys.argv[1:] if argument != "--detach"], data_dir)
        tell(f"Running (pid {pid}); stop it with `trader down --data-dir {data_dir}`.")
        _tell_standstill(data_dir)
        return
    from cli.stack.demonstrations import differences  # noqa: PLC0415
    from cli.stack.up import check_alone, run_stack  # noqa: PLC0415
    from cli.stack.views import view_for  # noqa: PLC0415

    check_alone(DataDirectory(data_dir))
    tell("Crypto Trader Pro paper-trades: no real money, and no promise of profit.")
    tell(f"{', '.join(str(path) for path in plan.files)} changes from the specification's values:")
    for line in differences(plan.configuration) or ["nothing"]:
        tell(f"  {line}")
    status = asyncio.run(run_stack(data_dir, plan, view=view_for(sys.stderr)))
    raise typer.Exit(status)


def _tell_standstill(data_dir: Path) -> None:
    """Say that the stack that has just come up opens no positions, if so; that it came up counts in any case."""
    from cli.status import read_standstill  # noqa: PLC0415 - the clients of the stores

    with suppress(CommandError):
        place = find_place(data_dir)
        for account in place.configuration().exchange.accounts:
            if notice := run(read_standstill(place, account)):
                tell(notice)


def down(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Stop the stack that runs in the data directory, in order."""
    directory = DataDirectory(data_dir)
    asyncio.run(directory.stop_running())
    tell("Stopped.")


def ps(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """List the processes of the stack, the stores included."""
    from libs.embedded.process_table import read_table  # noqa: PLC0415 - psutil

    directory = DataDirectory(data_dir)
    table = read_table(directory) if directory.lock_file.exists() else None
    if table is None:
        find_place(data_dir)
        raise CommandError("The stack has just stopped.", status=ExitStatus.NOT_RUNNING)
    emit_rows("processes", table.processes, PROCESS_COLUMNS, as_json=as_json)


def endpoints(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Print where each part of the running stack is, for other programs."""
    place = find_place(data_dir)
    if as_json:
        emit_json(place.endpoints)
    else:
        tell("warning: this prints passwords and keys; keep it off shared screens and out of logs")
        emit_pairs({name: value for name, value in place.endpoints.items() if value is not None}, as_json=False)


def logs(
    name: Annotated[str | None, typer.Argument(help="A process of `trader ps`; none: all.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.", min=1)] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print the last log lines of a process, or of all."""
    directory = DataDirectory(data_dir)
    known = sorted(path.stem for path in directory.logs.glob("*.log")) if directory.logs.is_dir() else []
    if not known:
        raise CommandError(
            f"{directory.logs}: expected logs, found none: nothing has run here yet",
            hint="Start a stack with `trader up`, or name its directory with --data-dir.",
            status=ExitStatus.NOT_RUNNING,
        )
    if name is not None and name not in known:
        raise CommandError(
            f"{name}: expected a process with a log, found none in {directory.logs}",
            hint=f"Known: {', '.join(known)}.",
            status=ExitStatus.USAGE,
        )
    names = [name] if name is not None else known
    positions = {each: _print_tail(directory.log_file(each), each, lines, labelled=name is None) for each in names}
    while follow:
        time.sleep(FOLLOW_INTERVAL_S)
        for each, position in positions.items():
            positions[each] = _print_rest(directory.log_file(each), each, position, labelled=name is None)


def _print_tail(path: Path, name: str, count: int, *, labelled: bool) -> int:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in deque(file, maxlen=count):
            sys.stdout.write(f"{name}: {line}" if labelled else line)
        return file.tell()


def _print_rest(path: Path, name: str, position: int, *, labelled: bool) -> int:
    if path.stat().st_size < position:  # rotated
        position = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        file.seek(position)
        for line in file:
            sys.stdout.write(f"{name}: {line}" if labelled else line)
        sys.stdout.flush()
        return file.tell()
