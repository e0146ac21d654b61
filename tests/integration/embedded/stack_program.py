"""A stack as a process of its own: `stack_program.py DATA_DIR`, until it is told to stop."""

import asyncio
import sys
from pathlib import Path

from libs.embedded.stack import open_stack, run_until_signal


async def run_stack() -> None:
    async with open_stack(Path(sys.argv[1])) as stack:
        await stack.start()
        stack.write_endpoints({})
        await stack.run(asyncio.Event().wait())


asyncio.run(run_until_signal(run_stack()))
