"""When Python looks for cyclic garbage. It should not while a large session is made, since all of that stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def collect_seldom() -> None:
    """Look for cyclic garbage after 10,000 new objects, not 700: we make little of it, and most objects stay."""
    gc.set_threshold(10_000)


def collect_when_told() -> None:
    """Look only for young cyclic garbage. The caller runs `gc.collect` for the rest, when nobody waits for anything.

    The objects that exist now are never examined again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 1_000_000)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Do not collect inside this block. To read a large plan and make its state takes 2.5 times as long otherwise."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Never examine what is made inside this block; it is freed when nothing refers to it.

    A collection that examines the state of a large session takes longer than a key may wait, in any thread.
    """
    with gc_paused():
        yield
        gc.freeze()
