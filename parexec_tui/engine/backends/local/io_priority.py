"""The class of input and output of a process, which it has from whoever started it.

On Linux it belongs to a thread, so the thread that starts a process takes the class for a moment. Not all I/O
schedulers of Linux look at it (bfq and mq-deadline do). Other systems have no such thing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

_CLASSES: Final = {
    "idle": ("IOPRIO_CLASS_IDLE", None),
    "low": ("IOPRIO_CLASS_BE", 7),
    "normal": ("IOPRIO_CLASS_BE", 4),
}


def can_set_io() -> bool:
    """Whether this system has such classes."""
    return hasattr(psutil.Process, "ionice") and hasattr(psutil, "IOPRIO_CLASS_IDLE")


@contextmanager
def io_priority(name: str | None) -> Iterator[None]:
    """Let what this thread starts have this class; None: that of the engine. Raises OSError."""
    if name is None or not can_set_io():
        yield
        return
    class_, value = _CLASSES[name]
    thread = psutil.Process(threading.get_native_id())
    before = thread.ionice()
    thread.ionice(getattr(psutil, class_), value)
    try:
        yield
    finally:
        thread.ionice(before.ioclass, before.value if before.ioclass else None)
