"""The shortened form of `journal_cuts`: a few hundred cuts, at each edge of a frame and in between."""

from pathlib import Path

from tests.registry.journal_cuts import open_cut, write


def test_a_log_that_is_cut_anywhere_opens_and_resumes(tmp_path: Path) -> None:
    main, wal, commits = write(tmp_path)
    cut = tmp_path / "cut"
    cut.mkdir()
    frame = 24 + int.from_bytes(wal[8:12], "big")  # the header of a frame, and a page
    edges = {32 + frame * number + near for number in range(len(wal) // frame) for near in (-1, 0, 1)}
    lengths = sorted({length for length in edges | set(range(0, len(wal), 2500)) if 0 <= length <= len(wal)})

    found = [open_cut(cut, main, wal[:length], commits) for length in (*lengths, len(wal))]

    assert {"resumed", "finished"} <= set(found)
    assert found[-1] == "finished"
