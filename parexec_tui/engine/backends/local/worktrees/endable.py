"""gits that may be ended at any time: what they write nobody waits for once the engine leaves."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock


class Endable:
    """The gits of one engine that are ended with it. Its methods may be called in any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self.are_ended = False

    @contextmanager
    def here(self) -> Iterator[None]:
        """All gits that are run meanwhile in this thread are among them."""
        token = _HERE.set(self)
        try:
            yield
        finally:
            _HERE.reset(token)

    def end(self) -> None:
        """End them, and each that is still to come. What they leave among the objects is for the caller to remove."""
        with self._lock:
            self.are_ended = True
            for git in self._running:
                git.terminate()

    @contextmanager
    def _noted(self, git: subprocess.Popen[str]) -> Iterator[None]:
        with self._lock:
            self._running.add(git)
            if self.are_ended:
                git.terminate()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(git)


_HERE: ContextVar[Endable | None] = ContextVar("_HERE", default=None)


@contextmanager
def noted(git: subprocess.Popen[str]) -> Iterator[None]:
    """Let a git be ended while it runs, if what it is run for may be."""
    here = _HERE.get()
    if here is None:
        yield
        return
    with here._noted(git):
        yield
