"""What a person at a terminal sees: tables, a status that redraws itself, the live view of a start; and Ctrl-C."""

import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.support.stack import PROCESSES, StackUnderTest, until
from tests.support.trader import TRADER

SCREEN_S_MAX = 90.0
STOPPED_S_MAX = 20.0


class Screen:
    """A command in a terminal of its own."""

    def __init__(self, *arguments: str, width: int = 160) -> None:
        terminal, inside = pty.openpty()
        os.set_blocking(terminal, False)
        self._terminal = terminal
        self.process = subprocess.Popen(
            [*TRADER, *arguments],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(width), "LINES": "60"},
        )
        os.close(inside)
        self.text = ""

    def read(self) -> str:
        """Return everything written so far."""
        while True:
            try:
                part = os.read(self._terminal, 65_536)
            except (BlockingIOError, OSError):  # nothing yet, or the other side is closed
                return self.text
            if not part:
                return self.text
            self.text += part.decode(errors="replace")

    def shows(self, *words: str) -> bool:
        text = self.read()
        return all(word in text for word in words)

    def ended(self) -> bool:
        self.read()  # a full terminal would keep it
        return self.process.poll() is not None

    def press_ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._terminal)


@pytest.fixture
def screen() -> Iterator[Callable[..., Screen]]:
    screens: list[Screen] = []

    def open_screen(*arguments: str) -> Screen:
        screens.append(Screen(*arguments))
        return screens[-1]

    yield open_screen
    for each in screens:
        each.close()


def test_a_terminal_gets_a_table(standing: StackUnderTest, screen: Callable[..., Screen]):
    shown = screen("orders", "--data-dir", str(standing.data_dir))

    until(shown.ended, seconds=30, what="the end of the command")
    assert shown.process.returncode == 0
    assert shown.shows("orders", "┃", "BTC/USDT")


def test_watching_in_a_terminal_redraws_the_status(standing: StackUnderTest, screen: Callable[..., Screen]):
    shown = screen("watch", "--data-dir", str(standing.data_dir))

    until(lambda: shown.shows("ACTIVE", "PnL today", "BTC/USDT"), seconds=30, what="the status")
    shown.press_ctrl_c()

    until(shown.ended, seconds=STOPPED_S_MAX, what="the end of the command")
    assert shown.process.returncode == 130
    assert "Traceback" not in shown.read()


def test_a_terminal_gets_a_live_view_and_ctrl_c_stops_everything(stack: StackUnderTest, screen: Callable[..., Screen]):
    shown = screen("up", "--data-dir", str(stack.data_dir))

    until(lambda: shown.shows("ACTIVE", *PROCESSES, "PnL today"), seconds=SCREEN_S_MAX, what="the live view")
    until(lambda: shown.shows("last fills", "BUY"), seconds=SCREEN_S_MAX, what="fills in the live view")
    shown.press_ctrl_c()

    until(shown.ended, seconds=STOPPED_S_MAX, what="the end of the stack")
    assert shown.process.returncode == 130
    assert stack.pids() == set()
    assert "Traceback" not in shown.read()
    assert "WARNING" not in shown.read()
