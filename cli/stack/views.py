"""Which view a person gets: a live one in a terminal, plain lines in a pipe."""

from typing import TextIO

from cli.stack.live import LiveView
from cli.stack.plain import PlainView
from cli.stack.up import View


def view_for(stream: TextIO) -> View:
    """Return the view that suits where the talk goes."""
    return LiveView() if stream.isatty() else PlainView()
