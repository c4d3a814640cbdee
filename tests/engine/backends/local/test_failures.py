"""What is reported of an attempt that failed."""

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local.failures import with_out_of_memory
from parexec_tui.engine.backends.local.oom import OutOfMemory


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        ("/tmp/state/tmp/oom.1", False),
        ("Killed", False),
        ("", False),
        ("MemoryError", True),
        ("terminate called after throwing an instance of 'std::bad_alloc'", True),
        ("fork: Cannot allocate memory", True),
    ],
)
def test_the_last_line_of_one_that_the_kernel_ended_is_told_if_it_says_why(line: str, is_kept: bool) -> None:
    ended = rq.ProcessEnded("T", 1, signal=9, error_line=line)
    found = with_out_of_memory(ended, OutOfMemory("at 60MiB of 60MiB"))
    assert isinstance(found, rq.ProcessEnded)
    assert (found.out_of_memory, found.error_line) == ("at 60MiB of 60MiB", line if is_kept else "")
