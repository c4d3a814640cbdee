"""A registry of which much is not in use is made smaller, if nobody has it open; whatever dies, all is there."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parexec_tui.paths import registry_file
from parexec_tui.registry import compacting
from parexec_tui.registry.compacting import compact, is_worth_it
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.repair import check
from tests.registry.registries import AT, start

EVENTS, STAYS = 1000, 100


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any size is worth it."""
    monkeypatch.setattr(compacting, "SMALLEST", 1)
    monkeypatch.setattr(compacting, "LEFT_FREE", 0)


def put(count: int) -> str:
    with Registry.open(registry_file()) as registry:
        session = start(registry)
        rows = [
            (seq, AT + seq, "Noted", b'{"seq":%d,"text":"%s"}' % (seq, b"x" * 500)) for seq in range(1, count + 1)
        ]
        registry.append(session, rows, status="finished", ended=AT + count)
    return session


def pruned() -> tuple[Path, str]:
    """A registry of which most is not in use, and the session that is left."""
    gone, stays = put(EVENTS), put(STAYS)
    with Registry.open(registry_file()) as registry:
        assert registry.prune(registry.session(gone))
        registry.checkpoint()
    return registry_file(), stays


def said(session: str) -> list[tuple[int, bytes]]:
    assert check(registry_file()).damage == ""
    with Registry.open(registry_file(), read_only=True) as registry:
        assert [row.session for row in registry.sessions()] == [session]
        return [(event.seq, event.data) for event in registry.events(session)]


def names() -> set[str]:
    return {path.name for path in registry_file().parent.iterdir() if not path.name.endswith(("-wal", "-shm"))}


@pytest.mark.usefixtures("small")
def test_it_is_smaller_and_the_same(tmp_path: Path) -> None:
    file, stays = pruned()
    before, events, mode = file.stat().st_size, said(stays), file.stat().st_mode
    assert is_worth_it(file)

    freed = compact(file)

    assert freed > before / 2
    assert file.stat().st_size == before - freed
    assert file.stat().st_mode == mode
    assert (len(events), said(stays)) == (STAYS, events)
    assert names() == {"registry.db", "registry.db.lock"}
    assert not is_worth_it(file)
    assert put(1) > stays, "it is written on"


@pytest.mark.usefixtures("small")
def test_not_while_somebody_has_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parexec_tui.registry.access.WAIT", 0.0)
    file, _ = pruned()
    found = file.stat()
    with Registry.open(file, read_only=True):
        assert compact(file) == 0
    assert (file.stat().st_ino, file.stat().st_size) == (found.st_ino, found.st_size)
    assert compact(file) > 0


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("leaves", [True, False], ids=["and left", "and is there"])
def test_what_somebody_writes_meanwhile_is_not_lost(leaves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    file, stays = pruned()
    checked = compacting._check
    opened: list[Registry] = []

    def writing(new: Path) -> None:
        checked(new)
        registry = Registry.open(file)
        registry.append(stays, [(STAYS + 1, AT, "Noted", b'{"seq":0}')])
        opened.append(registry)
        if leaves:
            registry.close()

    monkeypatch.setattr(compacting, "_check", writing)

    assert compact(file) == 0

    opened[0].close()
    assert said(stays)[-1] == (STAYS + 1, b'{"seq":0}')
    assert names() == {"registry.db", "registry.db.lock"}


@pytest.mark.usefixtures("small")
def test_who_writes_while_it_is_copied_ends_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "_STEPS", 100)
    file, stays = pruned()
    looks = iter(range(1000))
    seen = compacting._log

    def looking(path: Path) -> tuple[int, int] | None:
        if next(looks) == 5:
            with Registry.open(file) as registry:
                registry.append(stays, [(STAYS + 1, AT, "Noted", b'{"seq":0}')])
        return seen(path)

    monkeypatch.setattr(compacting, "_log", looking)
    monkeypatch.setattr(compacting, "_check", lambda _: pytest.fail("the copy was made to its end"))

    assert compact(file) == 0
    assert said(stays)[-1][0] == STAYS + 1


def test_only_what_is_worth_it_and_if_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = pruned()
    assert not is_worth_it(file), "it is small"
    for left in (".compacting", ".compacting-journal"):  # of one that was killed
        file.with_name(f"{file.name}{left}").write_bytes(b"half")
    assert compact(file) == 0
    assert names() == {"registry.db", "registry.db.lock"}
    monkeypatch.setattr(compacting, "SMALLEST", 1)
    monkeypatch.setattr(compacting, "LEFT_FREE", 1 << 60)
    assert is_worth_it(file)
    assert compact(file) == 0
    assert names() == {"registry.db", "registry.db.lock"}
    assert not is_worth_it(file.with_name("none"))


KILLED = """
import os, signal, sys
from pathlib import Path
from parexec_tui.paths import registry_file
from parexec_tui.registry import compacting

step = int(sys.argv[1])
compacting.SMALLEST, compacting.LEFT_FREE = 1, 0
count = 0

def dies(function):
    def counted(*arguments, **named):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted

os.fsync = dies(os.fsync)
os.open = dies(os.open)
Path.replace = dies(Path.replace)
Path.unlink = dies(Path.unlink)
compacting.compact(registry_file())
"""


def test_killed_at_any_step_all_is_there_and_the_next_one_goes_on(small: None, tmp_path: Path) -> None:
    _, stays = pruned()
    events = said(stays)
    state, template = Path(os.environ["XDG_STATE_HOME"]), tmp_path / "template"
    shutil.copytree(state, template)
    seen = set()
    for step in range(1, 40):
        shutil.rmtree(state)
        shutil.copytree(template, state)
        died = subprocess.run([sys.executable, "-c", KILLED, str(step)], check=False)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL
        seen.add(frozenset(names()))
        assert said(stays) == events
        compact(registry_file())
        assert said(stays) == events
        assert names() == {"registry.db", "registry.db.lock"}
        assert not is_worth_it(registry_file())
    else:
        pytest.fail("it never came to its end")
    rest = {"registry.db", "registry.db.lock"}
    assert {
        frozenset(rest | more) for more in (set[str](), {"registry.db.compacting"}, {"registry.db.repaired"})
    } <= seen
