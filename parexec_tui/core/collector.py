"""Python's cycle collector, out of the way while very many objects are made that all stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def collect_seldom() -> None:
    """Look for cyclic garbage after 10,000 new objects, not 700: we make little of it, and so many that stay."""
    gc.set_threshold(10_000)


def collect_when_told() -> None:
    """Look for young cyclic garbage only; for all of it, somebody calls `gc.collect`, when nobody has to wait.

    What is there now is not looked at any more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 1_000_000)


@contextmanager
def collector_paused() -> Iterator[None]:
    """No cyclic garbage is made here, and looking for it would take 2.5 times as long as reading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def made_to_stay() -> Iterator[None]:
    """What is made here is not looked at for garbage, neither now nor later: it goes when nobody has it any more.

    To look at the state of a large session takes longer than a key should wait, whichever thread does it.
    """
    with collector_paused():
        yield
        gc.freeze()
