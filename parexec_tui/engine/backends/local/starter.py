"""Threads that start processes, so that the engine's loop goes on meanwhile.

A start takes until the new process executes its program. On a busy machine that is longer than everything else that
the engine does for an attempt. The loop learns of started processes when it takes ended ones; no start wakes it.
"""

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.requests import WorktreeMade
from parexec_tui.engine.backends.local.masking import Masking
from parexec_tui.engine.backends.local.snapshot import SnapshotSize
from parexec_tui.engine.backends.local.spawn import Spawn, spawn
from parexec_tui.engine.backends.local.watch import Watch
from parexec_tui.engine.backends.telling import Telling
from parexec_tui.engine.passing import is_refusal
from parexec_tui.paths import AgentFiles

_THREADS = 3
"""Processes that are started at once: while one waits for a CPU, another can be started."""


class Start(Struct, gc=False, eq=False):
    """A process that is being started. What came of it is known once `Starter.take` gives it back."""

    key: ProcessKey
    spawn: Spawn
    minder: tuple[Telling, AgentFiles] | None = None
    """What the minder of a coding agent is told, and where."""
    pid: int | None = None
    problem: BaseException | None = None
    """Why there is no process."""
    taken: SnapshotSize | None = None
    """The snapshot that was made before it."""
    made: WorktreeMade | None = None
    """The worktree that was made for it."""
    secrets: dict[str, str] = {}
    """Of which nothing is to be in its log."""
    masking: Masking | None = None
    """What sees to that."""
    is_given_up: bool = False
    """Nobody wants the process any more: what is made before it need not be finished."""
    later: list[Callable[[], None]] = []
    """What to do once its process exists."""


class Starter:
    """Starts processes one after another, and lets the watch wait for their ends."""

    def __init__(self, watch: Watch[ProcessKey], prepare: Callable[[Start], None]) -> None:
        """`prepare`: called before each start, in any thread; raises OSError if there may be none now."""
        self._watch = watch
        self._prepare = prepare
        self._queue: SimpleQueue[Start | None] = SimpleQueue()
        self._done: deque[Start] = deque()
        self._threads: list[Thread] = []
        self._failure: OSError | None = None

    def put(self, start: Start) -> None:
        if len(self._threads) < _THREADS:
            self._add_thread()
        if self._threads:
            self._queue.put(start)
        else:
            self._start(start)

    def _add_thread(self) -> None:
        thread = Thread(target=self._run, name="parexec-starter", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not is_refusal(error):
                raise
        else:
            self._threads.append(thread)

    def give_up(self, start: Start, problem: BaseException) -> None:
        """Tell of a process that is not started, as of one that could not be."""
        start.problem = problem
        self._tell(start)

    def take(self) -> list[Start]:
        """The starts that succeeded or failed since the last call, each before the watch gives its end. Never waits.

        Raises OSError if a process cannot be watched.
        """
        if self._failure is not None:
            raise self._failure
        return [self._done.popleft() for _ in range(len(self._done))]

    def close(self) -> None:
        """Let the threads end, and wait until they have."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (start := self._queue.get()) is not None:
            self._start(start)

    def _start(self, start: Start) -> None:
        try:
            self._prepare(start)
            start.pid = spawn(start.spawn)
        except BaseException as problem:  # of any kind: the loop has to know it
            start.problem = problem
        if start.masking is not None:
            start.masking.close()
        self._tell(start)

    def _tell(self, start: Start) -> None:
        # In this order: the loop must know that a process was started before it hears of its end.
        self._done.append(start)
        if start.pid is not None:
            try:
                self._watch.add(start.key, start.pid)
            except OSError as error:
                self._failure = error
        if start.problem or self._failure or start.later or start.taken:
            self._watch.wake()
