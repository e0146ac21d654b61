"""A seeded event loop with virtual time: whatever may happen in another order does, and the seed says in which.

Invariants: time moves only when nobody can run, and then to the next timer; the callbacks of one process run in the
order in which asyncio promises to run them, those of different processes in any; a killed process never runs again,
a frozen one not before it is thawed.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import Context, ContextVar, copy_context
from enum import Enum, auto
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")

STEPS_AT_ONE_TIME_MAX: Final = 100_000
"""More callbacks than these without time passing are a loop that never waits."""

TASKS_KEPT_MAX: Final = 2_000
"""That are done."""

ROUNDS_OF_THE_END_MAX: Final = 20


class Life(Enum):
    """What the loop may do with the callbacks of a process."""

    RUNNING = auto()
    FROZEN = auto()
    DEAD = auto()


RUNNING, DEAD = Life.RUNNING, Life.DEAD


class Process:
    """Whose callbacks they are. Whatever is started from its context belongs to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.life = Life.RUNNING
        self.ready: deque[Turn] = deque()

    def __repr__(self) -> str:
        return f"{self.name} ({self.life.name.lower()})"

    def kill(self) -> None:
        """Let nothing of it ever run again: no `finally`, no `except`."""
        self.life = Life.DEAD

    def freeze(self) -> None:
        """Stop it where it stands; what it waits for happens meanwhile."""
        if self.life is Life.RUNNING:
            self.life = Life.FROZEN

    def thaw(self) -> None:
        """Let it go on."""
        if self.life is Life.FROZEN:
            self.life = Life.RUNNING


WORLD: Final = Process("world")
CURRENT: Final[ContextVar[Process]] = ContextVar("process", default=WORLD)


class Turn(asyncio.TimerHandle):
    """A callback that waits for its turn or its time, without what asyncio keeps for debugging."""

    __slots__ = ("arguments", "callback", "context", "is_cancelled")

    def __init__(self, callback: Callable[..., object], arguments: Sequence[Any], context: Context | None) -> None:
        self.callback = callback
        self.arguments = arguments
        self.context = copy_context() if context is None else context
        self.is_cancelled = False

    def cancel(self) -> None:
        """Have it passed over."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Return whether it is passed over."""
        return self.is_cancelled


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set is not its place in memory, so that every run walks sets alike."""

    _number = 0

    def __hash__(self) -> int:
        if not self._number:
            self._number = next(self.get_loop().numbers)  # type: ignore[attr-defined]  # of the simulated loop
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class NumberedFuture(asyncio.Future[Any]):
    """The same of a future."""

    _number = 0
    __hash__ = NumberedTask.__hash__  # all that it needs of a task
    __eq__ = NumberedTask.__eq__


class DeadlockError(AssertionError):
    """Nobody can run, and nothing is going to happen."""


class StepsExceededError(AssertionError):
    """Too much happened: something never comes to rest."""


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs everything of one simulation in one thread.

    Args:
        seed: Decides which process runs next.
        steps_max: The bound of all callbacks together.
    """

    def __init__(self, seed: int, *, steps_max: int = 600_000) -> None:
        self._chance = Random(f"loop {seed}")
        self._steps_max = steps_max
        self._now_s = 0.0
        self._order = itertools.count()
        self.numbers = itertools.count(1)
        self._timers: list[tuple[float, int, Turn]] = []
        self._waiting: dict[Process, None] = {}  # that have something to run, if they may
        self._known: dict[Process, None] = {}
        self._steps_now = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._tasks_kept_max = TASKS_KEPT_MAX
        self._running = False
        self._ending = False
        self.steps = 0
        self.complaints: list[str] = []

    def run_until_complete(self, future: Any) -> Any:
        """Run until `future` is done and return its result."""
        task: asyncio.Future[Any] = asyncio.ensure_future(future, loop=self)
        self._running = True
        asyncio._set_running_loop(self)
        try:
            while not task.done():
                self._step()
        finally:
            asyncio._set_running_loop(None)
            self._running = False
        return task.result()

    def end(self) -> None:
        """Cancel everything that is left, whoever it belongs to, so that nothing is torn down by the collector."""
        self._ending = True
        for process in self._known:
            process.life = Life.RUNNING
            if process.ready:
                self._waiting[process] = None
        asyncio._set_running_loop(self)
        try:
            for _ in range(ROUNDS_OF_THE_END_MAX):
                tasks = [task for task in self._tasks if not task.done()]
                for task in tasks:
                    task.cancel()
                while tasks and self._waiting:
                    self._step()
        finally:
            asyncio._set_running_loop(None)

    def _step(self) -> None:
        runnable = [process for process in self._waiting if process.life is RUNNING]
        if not runnable:
            self._let_time_pass()
            return
        self.steps += 1
        self._steps_now += 1
        if (self.steps > self._steps_max or self._steps_now > STEPS_AT_ONE_TIME_MAX) and not self._ending:
            raise StepsExceededError(
                f"{self.steps} steps, {self._steps_now} of them at {self._now_s:.3f} s\n{self.state()}"
            )
        process = runnable[0] if len(runnable) == 1 else runnable[int(self._chance.random() * len(runnable))]
        turn = process.ready.popleft()
        if not process.ready:
            del self._waiting[process]
        if not turn.is_cancelled:
            turn.context.run(turn.callback, *turn.arguments)

    def _let_time_pass(self) -> None:
        timers = self._timers
        if not timers:
            raise DeadlockError(
                f"nobody can run at {self._now_s:.3f} s, and nothing is going to happen\n{self.state()}"
            )
        self._steps_now = 0
        self._now_s = now_s = max(self._now_s, timers[0][0])
        while timers and timers[0][0] <= now_s:
            self._put(heapq.heappop(timers)[2])

    def _put(self, turn: Turn) -> None:
        if turn.is_cancelled:
            return
        process = turn.context.get(CURRENT, WORLD)  # where it was started from
        if not process.ready:
            self._known[process] = None
            self._waiting[process] = None
        process.ready.append(turn)  # of a dead one too: `end` must close its coroutines
        if process.life is DEAD:
            self._waiting.pop(process, None)

    def state(self) -> str:
        """Return who waits where."""
        lines = []
        for task in asyncio.all_tasks(self):
            frames = task.get_stack(limit=1)
            place = f"{frames[0].f_code.co_qualname}:{frames[0].f_lineno}" if frames else "?"
            lines.append(f"{task.get_name()}: {place}")
        return "\n".join(sorted(lines))

    # What asyncio asks of a loop.

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_s

    def call_soon(  # type: ignore[override]  # typeshed binds the arguments to the callback
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback when its process's turn has come."""
        turn = Turn(callback, args, context)
        self._put(turn)
        return turn

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # the same

    def call_later(  # type: ignore[override]  # the same
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback after a while."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # the same
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a time."""
        timer = Turn(callback, args, context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return NumberedFuture(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: Any = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        """Start a task of the present process."""
        task: asyncio.Task[T] = NumberedTask(coro, loop=self, name=name, context=context)
        self._tasks.append(task)  # else the collector would close the coroutines of a killed process
        if len(self._tasks) > self._tasks_kept_max:
            self._tasks = [each for each in self._tasks if not each.done()]
            self._tasks_kept_max = len(self._tasks) + TASKS_KEPT_MAX
        return task

    async def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> T:  # type: ignore[override]
        """Do a thread's work at once: files are quick, and nothing else is left to threads."""
        del executor
        await asyncio.sleep(0)
        return func(*args)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody caught."""
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        """Return whether asyncio should look closer."""
        return False

    def is_running(self) -> bool:
        """Return whether it turns."""
        return self._running

    def is_closed(self) -> bool:
        """Return whether it may not be used any more."""
        return False
