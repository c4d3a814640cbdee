"""What sessions take on the disk is counted once, and anew when it has changed."""

import json
import re
import time
from pathlib import Path

import pytest

from parexec_tui.cli.doctor import examine
from parexec_tui.core.plan.model import Host
from parexec_tui.keeping import sizes
from parexec_tui.keeping.disk import taken_by
from parexec_tui.keeping.sizes import Sizes, by_kind
from parexec_tui.paths import registry_file, session_folder, sizes_file
from parexec_tui.registry.registry import Registry
from tests.cli.test_keeping import said
from tests.keeping.kept import remember


def counted(within: float = 60.0) -> dict[str, int | None]:
    with Registry.open(registry_file()) as registry:
        rows, known = registry.sessions(), Sizes()
        found = known.of_all(registry, rows, within)
        known.remember(rows)
    return found


def long_list() -> dict[str, int | None]:
    return {row["session"]: row["size"] for row in map(json.loads, said("ls", "--long", "--json").splitlines())}


def test_the_size_is_that_of_the_folder_and_of_the_events(tmp_path: Path) -> None:
    session = remember(tmp_path)
    (session_folder(session).attempts / "a.2.log").write_bytes(b"x" * 100_000)

    found = counted()[session]

    assert found is not None
    with Registry.open(registry_file()) as registry:
        assert found == taken_by(session_folder(session).path) + registry.size_of(session)
    assert found > 100_000
    assert long_list() == {session: found}


def test_what_has_ended_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = remember(tmp_path), remember(tmp_path)
    before = counted()
    looked_at: list[Path] = []

    def taken(folder: Path, until: float) -> int:
        looked_at.append(folder)
        return taken_by(folder, until)

    monkeypatch.setattr(sizes, "taken_by", taken)

    assert counted() == before
    assert looked_at == []
    (session_folder(first).attempts / "a.2.log").write_bytes(b"x" * 100_000)
    after = counted()
    assert looked_at == [session_folder(first).path]
    assert (after[first] or 0) > (before[first] or 0) + 90_000
    assert after[second] == before[second]


def test_a_session_that_goes_on_or_has_worktrees_is_counted_each_time(tmp_path: Path) -> None:
    running, kept = remember(tmp_path, status="running"), remember(tmp_path)
    log = session_folder(running).attempts / "a.1.log"
    (tree := session_folder(kept).worktrees / "a").mkdir(parents=True)
    (file := tree / "big").touch()
    before = counted()

    log.write_bytes(b"x" * 100_000)  # no name comes or goes in a folder
    file.write_bytes(b"x" * 100_000)

    after = counted()
    assert all((after[each] or 0) > (before[each] or 0) + 90_000 for each in (running, kept))


def test_what_there_is_no_time_for_is_not_known_and_the_next_look_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = remember(tmp_path), remember(tmp_path)
    assert counted(within=0.0) == {new: None, old: None}
    assert not sizes_file().exists()
    monkeypatch.setattr("parexec_tui.cli.listing._COUNT_WITHIN", 0.0)
    lines = said("ls", "-l").splitlines()
    assert [line.split()[4] for line in lines[:2]] == ["?", "?"]
    assert lines[2].startswith("?: 2 were not counted within 0 s")

    sizes_ = counted()

    assert None not in sizes_.values()
    assert counted(within=0.0) == sizes_, "they are remembered"


def test_a_list_of_sizes_that_is_damaged_is_no_list(tmp_path: Path) -> None:
    remember(tmp_path)
    found = counted()
    sizes_file().write_text('{"x": [1')
    assert counted() == found


def test_the_kinds(tmp_path: Path) -> None:
    session = remember(tmp_path)
    folder = session_folder(session)
    for path in (folder.worktrees / "a", folder.snapshots / "a.1", folder.tmp("a", 1), folder.path / "elsewhere"):
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"x" * 50_000)
    folder.engine_log.write_bytes(b"x" * 200_000)

    found = by_kind(time.monotonic() + 60)

    assert set(found) == {"registry", "logs", "worktrees", "snapshots", "temporary files", "other files"}
    assert found["logs"] >= 200_000
    assert sum(size for kind, size in found.items() if kind != "registry") == taken_by(folder.path.parent) - 4096
    with pytest.raises(TimeoutError):
        by_kind(time.monotonic() - 1)


def test_doctor_says_what_is_there_and_what_pruning_would_free(tmp_path: Path) -> None:
    def use() -> str:
        return next(each.text for each in examine(Host(2.0, 1 << 30)) if each.check == "disk use")

    for days in range(900, 879, -1):
        session = remember(tmp_path, days)
    assert re.search(r": .*registry \d+KiB.*; `parexec prune` would free \d+KiB, of 1 session$", use()), use()
    (session_folder(session).snapshots / "a.1").mkdir(parents=True)
    said("prune")
    assert use().endswith("; `parexec prune` would remove nothing")
