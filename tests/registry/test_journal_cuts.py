"""The shortened form of `journal_cuts`: a few hundred cuts, at each edge of a frame and in between."""

from pathlib import Path

from tests.registry.journal_cuts import edges, open_cut, resume_cut, write


def test_a_log_that_is_cut_anywhere_opens_and_resumes(tmp_path: Path) -> None:
    main, wal, commits = write(tmp_path)
    cut = tmp_path / "cut"
    cut.mkdir()
    near = {edge + step for edge in edges(wal) for step in (-1, 0, 1)}
    lengths = sorted(length for length in near | set(range(0, len(wal), 2500)) if 0 <= length <= len(wal))

    found = [open_cut(cut, main, wal[:length], commits) for length in lengths]

    assert {"before the session", "resumed", "finished"} <= set(found)
    assert found[-1] == "finished"


def test_a_real_engine_goes_on_from_what_is_left_of_a_log(tmp_path: Path) -> None:
    main, wal, _ = write(tmp_path)
    all_edges = edges(wal)

    def resumed(at: int) -> str:
        return resume_cut(tmp_path, main, wal[: all_edges[at]])

    assert [resumed(0), resumed(len(all_edges) // 2), resumed(-2), resumed(-1)] == [
        "before the session",
        *["resumed"] * 3,
    ]
