"""What is reported of an attempt that failed."""

from pathlib import Path

import pytest

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local.failures import with_error_line, with_out_of_memory
from parexec_tui.engine.backends.local.oom import OutOfMemory
from parexec_tui.paths import SessionFolder


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


@pytest.mark.parametrize(
    ("report", "is_stopped", "line"),
    [
        (rq.ProcessEnded("T", 1, signal=9), False, ""),
        (rq.ProcessEnded("T", 1, code=1), True, ""),
        (rq.ProcessLost("T", 1, "it vanished", began=True), False, ""),
        (rq.ProcessEnded("T", 1, code=1), False, "ImportError: no minder"),
    ],
)
def test_no_line_of_a_story_tells_why_a_coding_agent_was_ended(
    tmp_path: Path, report: rq.ProcessEnded | rq.ProcessLost, is_stopped: bool, line: str
) -> None:
    folder = SessionFolder(tmp_path)
    folder.attempts.mkdir()
    folder.log(ProcessKey("T", 1)).write_text("  model m1, permissions: edit\nImportError: no minder\n")
    Path(folder.of_agent(ProcessKey("T", 1)).facts).touch()
    assert with_error_line(report, folder, is_stopped=is_stopped).error_line == line
