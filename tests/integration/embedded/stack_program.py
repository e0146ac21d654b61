"""A stack as a process of its own: `stack_program.py DATA_DIR`, until it is told to stop."""

import asyncio
import sys
from pathlib import Path

from libs.embedded.stack import open_stack, stop_requested


async def main() -> None:
    async with stop_requested() as stop, open_stack(Path(sys.argv[1])) as stack:
        await stack.start()
        stack.write_endpoints({})
        await stack.run(stop.wait())


asyncio.run(main())
