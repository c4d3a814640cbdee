"""A session goes into an archive and comes out of it as it was; what is no such archive is refused whole."""

import gzip
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.engine.backends.local.worktrees.forgetting import Forgetter
from parexec_tui.engine.lifecycle.admission import admit_again
from parexec_tui.engine.session import resume_session
from parexec_tui.engine.sinks import EventSink
from parexec_tui.keeping import disk, unpacking
from parexec_tui.keeping.archive import ArchiveError
from parexec_tui.keeping.importing import import_archive
from parexec_tui.keeping.pruning import Policy, Refs, carry_out, foreseen, survey
from parexec_tui.outputs.gap import cut
from parexec_tui.outputs.sources import open_log
from parexec_tui.paths import registry_file, session_folder, state_home
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.repair import repair
from parexec_tui.registry.replay import replay
from tests.keeping.archives import Odd, exported
from tests.keeping.kept import LATER, TEXT, remember


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Goes to another machine: one without sessions."""
    return lambda: monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))


def sessions() -> dict[str, str]:
    with Registry.open(registry_file()) as registry:
        return {row.session: row.status for row in registry.sessions()}


def facts_of(session: str) -> tuple[object, ...]:
    with Registry.open(registry_file(), read_only=True) as registry:
        row = registry.session(session)
        return (
            registry.plan(session),
            list(registry.events(session)),
            registry.attempts(session),
            msgspec.structs.replace(row, status="", folder="", boot="", pid=0),
        )


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.zst"])
def test_what_comes_out_is_what_went_in(tmp_path: Path, elsewhere: Callable[[], None], ending: str) -> None:
    session = remember(tmp_path)
    (session_folder(session).attempts / "a.2.gate-1.log").write_bytes(b"\0odd\xff" * 200_000)
    session_folder(session).engine_log.write_text("said\n")
    before = facts_of(session)
    file = exported(session, tmp_path / "x", ending)

    elsewhere()
    done = import_archive(file)

    assert (done.session, done.status, done.events, done.logs, done.lives) == (session, "finished", 1, 2, False)
    assert facts_of(session) == before
    assert sessions() == {session: "imported"}
    folder = session_folder(session)
    assert (folder.attempts / "a.2.gate-1.log").read_bytes() == b"\0odd\xff" * 200_000
    assert folder.engine_log.read_text() == "said\n"
    for path in (state_home(), *state_home().rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_it_is_imported_where_only_single_files_can_be_synced(
    tmp_path: Path, elsewhere: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = remember(tmp_path)
    file = exported(session, tmp_path / "x")
    elsewhere()
    synced: list[str] = []
    monkeypatch.setattr(disk, "_sync_file_system", lambda _: False)
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().name))

    import_archive(file)

    assert {session, "attempts", "a.1.log", "imported"} <= {*synced}


def test_a_log_with_a_gap_keeps_its_offsets_and_takes_no_more_room(
    tmp_path: Path, elsewhere: Callable[[], None]
) -> None:
    session = remember(tmp_path)
    path = session_folder(session).attempts / "a.1.log"
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(300_000)))
    try:
        gap = cut(str(path), 200_000)
    except OSError as error:
        pytest.skip(f"no holes here: {error}")
    size, tail = path.stat().st_size, path.read_bytes()[-1000:]
    file = exported(session, tmp_path / "x")

    elsewhere()
    done = import_archive(file)

    assert done.size < 300_000
    source = open_log(session_folder(session).attempts / "a.1.log")
    assert (source.size(), source.find_gap(), source.pread(1000, size - 1000)) == (size, gap, tail)
    source.close()


def test_a_taken_id_gives_way_and_the_session_knows_its_own(tmp_path: Path) -> None:
    session = remember(tmp_path)
    file = exported(session, tmp_path / "x")

    again = import_archive(file).session

    assert again == f"{session}_2"
    assert sessions() == {session: "finished", again: "imported"}
    with Registry.open(registry_file(), read_only=True) as registry:
        assert replay(registry, again).state.session == again
    third = import_archive(exported(again, tmp_path / "y"))
    assert (third.was, third.session, third.status) == (again, f"{session}_3", "finished")


def test_nothing_runs_it_and_estimates_do_not_count_it(tmp_path: Path, elsewhere: Callable[[], None]) -> None:
    session = remember(tmp_path, status="running")
    file = exported(session, tmp_path / "x")
    elsewhere()
    import_archive(file)
    plan = read_plan(TEXT, source=str(tmp_path / "plan.toml"), folder=str(tmp_path), format="toml")

    with pytest.raises(RegistryError, match="belongs to another machine"):
        admit_again(session, beside=True, warn=print)
    with pytest.raises(RegistryError, match="belongs to another machine"):
        resume_session(session, EventSink(lambda *_: None, lambda _: None))
    with Registry.open(registry_file()) as registry:
        assert registry.history(plan) == {}
        assert registry.open_sessions() == []
        policy = Policy(0, 0)
        done, failed = carry_out(registry, survey(registry, policy, LATER), policy, LATER, Forgetter())
        assert ([each.session for each in done.go], failed) == ([session], [])
        assert registry.history(plan) == {}


def test_branches_here_are_not_those_of_a_session_of_another_machine(
    tmp_path: Path, elsewhere: Callable[[], None]
) -> None:
    session = remember(tmp_path)
    file = exported(session, tmp_path / "x")
    elsewhere()
    import_archive(file)
    git = ("git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@y")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*git, "branch", f"parexec/{session}/a"], check=True)

    policy = Policy(0, 0)
    with Registry.open(registry_file()) as registry:
        found = foreseen(survey(registry, policy, LATER), Forgetter())
        done, failed = carry_out(registry, found, policy, LATER, Forgetter())

    assert ([each.session for each in done.go], failed) == ([session], [])
    assert [each.refs for each in (*found.go, *done.go)] == [Refs(), Refs()]
    branches = subprocess.run([*git, "branch", "--list", "parexec/*"], check=True, capture_output=True, text=True)
    assert branches.stdout.split() == [f"parexec/{session}/a"]


def test_it_stays_what_it_is_when_the_registry_is_repaired(tmp_path: Path, elsewhere: Callable[[], None]) -> None:
    session = remember(tmp_path)
    file = exported(session, tmp_path / "x")
    elsewhere()
    import_archive(file)
    import_archive(file)
    with Registry.open(registry_file()) as registry:
        registry.checkpoint()
    content = registry_file().read_bytes()
    twice = b'"session":"' + session.encode() + b'_2"'
    registry_file().write_bytes(content.replace(twice, b"x" * len(twice)))

    assert repair(registry_file()).check.damage

    assert sessions()[session] == "imported"


# -- what is refused -------------------------------------------------------------------------------------------------


def files() -> list[Path]:
    return sorted((state_home() / "sessions").rglob("*"))


def assert_refused(file: Path, why: str, **options: int) -> None:
    before = files(), sessions()
    with pytest.raises(ArchiveError) as refused:
        import_archive(file, **options)
    assert why in str(refused.value)
    assert (files(), sessions()) == before


@pytest.fixture
def odd(tmp_path: Path) -> Odd:
    return Odd(exported(remember(tmp_path), tmp_path / "good"))


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("{root}/attempts/../../x.1.log", {}, "is not the name of a log"),
        ("/etc/cron.d/x.1.log", {}, "is not the name of a log"),
        ("{root}/attempts/sub/b.1.log", {}, "is not the name of a log"),
        ("{root}/attempts/.b.1.log", {}, "is not the name of a log"),
        ("{root}/attempts/b.1.exit", {}, "is not the name of a log"),
        ("{root}/attempts/b\n.1.log", {}, "is not the name of a log"),
        ("{root}/lock", {}, "is not the name of a log"),
        ("{root}/attempts/a.1.log", {}, "stands there twice"),
        ("{root}/attempts/b.1.log", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "is a symbolic link"),
        ("{root}/attempts/b.1.log", {"type": tarfile.LNKTYPE, "linkname": "a"}, "is a hard link"),
        ("{root}/attempts/b.1.log", {"type": tarfile.CHRTYPE}, "is a device"),
        ("{root}/attempts/b.1.log", {"type": tarfile.FIFOTYPE}, "is a pipe"),
        ("{root}/attempts/b.1.log", {"type": tarfile.DIRTYPE}, "is a folder"),
    ],
)
def test_odd_members_are_refused(odd: Odd, tmp_path: Path, name: str, fields: dict[str, Any], why: str) -> None:
    odd.add(name.format(root=odd.root), b"", **fields)

    assert_refused(odd.write(tmp_path / "odd"), why)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../x", "leads out of its folder"),
        ("/x", "is an absolute name"),
        ("{root}/attempts/a.1.log", "stands twice"),
        ("{root}/more", "is not in its manifest"),
    ],
)
def test_members_that_the_manifest_does_not_have_are_refused(odd: Odd, tmp_path: Path, name: str, why: str) -> None:
    odd.add(name.format(root=odd.root), b"x", is_listed=False)

    assert_refused(odd.write(tmp_path / "odd"), why)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 2, "version": "9.9"}, "a newer parexec wrote it: its format is 2 (parexec 9.9); upgrade parexec"),
        ({"format": 0}, "is not of an archive of a session"),
        ({"session": "../x"}, "leads out of its folder"),
        ({"session": "x"}, "is not the id of a session"),
        ({"session": "exec_00000000_000000_7"}, "is not the id of a session"),
        ({"started": 1e300}, "a time or a count in it cannot be"),
        ({"events": 2}, "the manifest says 2"),
        ({"files": []}, "come first"),
        ({"name": 3}, "manifest.json cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(odd: Odd, tmp_path: Path, change: dict[str, object], why: str) -> None:
    odd.manifest |= change
    if isinstance(session := change.get("session"), str):
        odd.root = session

    assert_refused(odd.write(tmp_path / "odd"), why)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("plan.json", b"{}", "plan.json cannot be read"),
        ("plan.json", b"[" * 100_000, "plan.json cannot be read"),
        ("events.jsonl", b"", "has 0 events"),
        ("events.jsonl", b"{}\n", "events.jsonl, line 1"),
        ("events.jsonl", b'{"seq":2,"at":1.0,"kind":"x","data":{}}\n', "events.jsonl, line 1: it is event 2"),
        ("events.jsonl", b'{"seq":1,"at":1.0,"kind":"x","data":{"kind":"x"}}\n', "events.jsonl, line 1"),
        ("attempts.jsonl", b'{"ticket":1}\n', "attempts.jsonl, line 1"),
        ("attempts.jsonl", b"{", "attempts.jsonl, line 1: it is too long, or has no end"),
    ],
)
def test_plans_and_events_that_make_no_session_are_refused(
    odd: Odd, tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    odd.replace(name, content)

    assert_refused(odd.write(tmp_path / "odd"), why)


def test_events_of_another_session_and_of_another_kind_are_refused(odd: Odd, tmp_path: Path) -> None:
    line = odd.content("events.jsonl")
    odd.replace("events.jsonl", line.replace(odd.root.encode(), b"exec_20200101_000000"))
    assert_refused(odd.write(tmp_path / "odd"), "it opens session 'exec_20200101_000000'")
    odd.replace("events.jsonl", line.replace(b'"kind":"session_opened"', b'"kind":"other"', 1))
    assert_refused(odd.write(tmp_path / "odd"), "events.jsonl, line 1: it is called 'other'")
    more = b'{"seq":2,"at":1.0,"kind":"from_tomorrow","data":{"kind":"from_tomorrow","at":1.0}}\n'
    odd.replace("events.jsonl", line + more)
    assert_refused(odd.write(tmp_path / "odd"), "import it with that version")


def test_a_wrong_checksum_or_size_is_told_with_its_member(odd: Odd, tmp_path: Path) -> None:
    info, content = odd.members[3]
    odd.members[3] = (info, content[:-1] + b"X")
    assert_refused(odd.write(tmp_path / "odd"), "attempts/a.1.log is damaged: its checksum")
    info.size -= 1
    assert_refused(odd.write(tmp_path / "odd"), "has 4 bytes; the manifest says 5")


def test_an_archive_that_was_cut_or_is_none_is_refused(odd: Odd, tmp_path: Path) -> None:
    good = odd.write(tmp_path / "good")
    whole = good.read_bytes()
    for length in (0, 3, 30, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        cut_off = tmp_path / "cut"
        cut_off.write_bytes(whole[:length])
        assert_refused(cut_off, "")
    assert_refused(odd.write(tmp_path / "odd", lambda tar: tar[:2048]), "it was cut off")
    assert_refused(odd.write(tmp_path / "odd", lambda tar: tar[:1536] + bytes(1024)), "plan.json is missing")
    flipped = bytearray(whole)
    flipped[-6] ^= 1
    (tmp_path / "flipped").write_bytes(flipped)
    assert_refused(tmp_path / "flipped", "it is damaged")
    for content, why in (
        (b"PK\x03\x04 a zip", "it is compressed neither with gzip nor with zstd"),
        (gzip.compress(b"no tar at all" * 100), "it is not an archive of a session"),
        (gzip.compress(b""), "it is not an archive of a session"),
        (b"\x28\xb5\x2f\xfd and no more", "it is"),
    ):
        (tmp_path / "none").write_bytes(content)
        assert_refused(tmp_path / "none", why)
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", "is not a regular file")


def test_what_holds_too_much_is_refused_before_it_is_unpacked(
    odd: Odd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(each["size"] for each in odd.manifest["files"])
    assert_refused(odd.write(tmp_path / "odd"), f"with --max-size {size}", most=size - 1)
    monkeypatch.setattr(unpacking, "_free", lambda _: size)
    assert_refused(odd.write(tmp_path / "odd"), "free")
    monkeypatch.undo()

    monkeypatch.setattr(unpacking, "_LARGEST_PLAN", 10)
    assert_refused(odd.write(tmp_path / "odd"), "it cannot be a plan")
    monkeypatch.undo()

    odd.manifest["files"][3]["size"] = 1 << 50
    assert_refused(odd.write(tmp_path / "odd"), "or else with --max-size")


def test_a_bomb_is_not_unpacked(odd: Odd, tmp_path: Path) -> None:
    """No more is read than the manifest says, and no header of any size is held in memory."""
    zeros = tmp_path / "zeros"
    assert_refused(odd.write(zeros, lambda tar: tar + bytes(40 << 20)), "there is more in it than its manifest says")
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 20 << 20
    head = header.tobuf(tarfile.GNU_FORMAT)
    assert_refused(odd.write(zeros, lambda _: head + bytes(20 << 20)), "a header in it has 20MiB")


# -- crashes ---------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from parexec_tui.keeping import importing
from parexec_tui.registry.database import Database

step = int(sys.argv[1])
count = 0

def dies(function):
    def counted(*arguments, **named):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted

Database.execute = dies(Database.execute)
importing._new_file = dies(importing._new_file)
importing.sync = dies(importing.sync)
os.mkdir = dies(os.mkdir)
importing.import_archive(Path(sys.argv[2]))
"""


@pytest.mark.timeout(120)
def test_killed_at_any_step_it_is_whole_or_the_next_one_removes_the_rest(tmp_path: Path) -> None:
    session = remember(tmp_path)
    file = exported(session, tmp_path / "x")
    state = Path(os.environ["XDG_STATE_HOME"])
    shutil.rmtree(state)
    remember(tmp_path, name="other.toml")
    with Registry.open(registry_file()) as registry:
        registry.checkpoint()
    template = tmp_path / "template"
    shutil.copytree(state, template)
    ends = set()
    for step in range(1, 40):
        shutil.rmtree(state)
        shutil.copytree(template, state)
        died = subprocess.run([sys.executable, "-c", KILLED, str(step), str(file)], check=False)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL
        folders = {each.name for each in (state_home() / "sessions").iterdir()}
        assert sessions() == {session: "finished"}, "what is not whole is in no list"
        policy = Policy(100, 0)
        with Registry.open(registry_file()) as registry:
            left = survey(registry, policy, LATER).unfinished
            if step % 2:
                done, failed = carry_out(registry, survey(registry, policy, LATER), policy, LATER, Forgetter())
                assert (done.unfinished, failed) == (left, [])
        if not step % 2:
            assert import_archive(file).session == f"{session}_2"
        with Registry.open(registry_file()) as registry:
            assert registry.unfinished_imports() == {}
        kept = {each.name for each in (state_home() / "sessions").iterdir()}
        assert kept == {*sessions()}
        ends.add((bool(left), len(folders)))
    else:
        pytest.fail("it never came to its end")
    assert {(False, 1), (True, 1), (True, 2)} <= ends
