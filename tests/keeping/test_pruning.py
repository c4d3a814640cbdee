"""Sessions are removed by a policy: whole, or so that the next one that prunes removes the rest."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.engine.backends.local.worktrees.forgetting import Forgetter
from parexec_tui.keeping.pruning import Policy, Survey, carry_out, survey
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.repair import check, repair
from parexec_tui.registry.replay import replay
from tests.keeping.kept import LATER, TEXT, remember

MONTH = Policy(keep=2, older=30 * 86400)


def pruned(policy: Policy = MONTH) -> Survey:
    with Registry.open(registry_file()) as registry:
        done, failed = carry_out(registry, survey(registry, policy, LATER), policy, LATER, Forgetter())
    assert failed == []
    return done


def sessions() -> list[str]:
    with Registry.open(registry_file(), read_only=True) as registry:
        return [row.session for row in registry.sessions()]


def names(done: Survey) -> list[str]:
    return [each.session for each in done.go]


def test_the_newest_of_each_plan_stay_and_what_ended_lately(tmp_path: Path) -> None:
    old = [remember(tmp_path, days) for days in (90, 80, 70, 60)]
    other = [remember(tmp_path, days, name="other.toml") for days in (50, 40, 10)]

    done = pruned()

    assert names(done) == [other[0], old[1], old[0]]
    assert done.stay == 4
    assert all(each.size >= 4096 for each in done.go)
    assert sessions() == [other[2], other[1], old[3], old[2]]
    for session in names(done):
        assert not session_folder(session).path.exists()
    assert names(pruned()) == []


def test_what_attempts_took_is_remembered_and_the_id_is_not_given_again(tmp_path: Path) -> None:
    first = remember(tmp_path, 90)
    plan = read_plan(TEXT, source=str(tmp_path / "plan.toml"), folder=str(tmp_path), format="toml")

    pruned(Policy(0, 0))

    with Registry.open(registry_file(), read_only=True) as registry:
        assert registry.history(plan)["a"].p50 == 5
        with pytest.raises(RegistryError, match="was pruned"):
            registry.session(first)
        assert check(registry_file()).damage == ""
    assert remember(tmp_path) != first


def test_the_figures_of_more_sessions_than_estimates_look_at_go_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parexec_tui.registry.pruned.REMEMBERED", 2)
    for days in (90, 80, 70):
        remember(tmp_path, days)
    plan = read_plan(TEXT, source=str(tmp_path / "plan.toml"), folder=str(tmp_path), format="toml")

    pruned(Policy(0, 0))

    with Registry.open(registry_file(), read_only=True) as registry:
        assert len(registry.past_attempts(plan)["a"]) == 2


def put_snapshot(session: str) -> None:
    (session_folder(session).snapshots / "a.1").mkdir(parents=True)


def put_worktree(session: str) -> None:
    (session_folder(session).worktrees / "a").mkdir(parents=True)


@pytest.mark.parametrize(
    ("status", "put", "why"),
    [
        ("running", None, "interrupted"),
        ("held", None, "interrupted"),
        ("stopped", None, "stopped"),
        ("finished", put_snapshot, "snapshots are kept for a rollback: a.1"),
        ("finished", put_worktree, "worktrees are kept: a"),
    ],
)
def test_what_can_go_on_or_has_kept_work_stays(tmp_path: Path, status: str, put: object, why: str) -> None:
    session = remember(tmp_path, 90, status=status)
    if callable(put):
        put(session)

    done = pruned(Policy(0, 0))

    assert names(done) == []
    assert [each.session for each in done.spared] == [session]
    assert why in done.spared[0].why
    with Registry.open(registry_file(), read_only=True) as registry:
        assert replay(registry, session).last == 1


def test_what_lives_stays_also_if_it_came_to_life_after_the_look(tmp_path: Path) -> None:
    session = remember(tmp_path, 90)
    policy = Policy(0, 0)
    with Registry.open(registry_file()) as registry:
        before = survey(registry, policy, LATER)
        with SessionLock(session_folder(session).lock):
            at_once = survey(registry, policy, LATER)
            done, failed = carry_out(registry, before, policy, LATER, Forgetter())

    assert [each.why for each in at_once.spared] == ["it lives"]
    assert ([each.why for each in done.spared], failed) == (["it lives"], [])
    assert sessions() == [session]


def test_what_is_asked_for_goes_as_well(tmp_path: Path) -> None:
    stopped, with_snapshot = remember(tmp_path, 90, status="stopped"), remember(tmp_path, 90)
    put_snapshot(with_snapshot)
    left_over = session_folder(with_snapshot).snapshots / "a.1.new"
    left_over.mkdir()

    assert names(pruned(Policy(0, 0, stopped=True, snapshots=True))) == [with_snapshot, stopped]
    assert sessions() == []


def test_a_session_whose_folder_is_gone_already_goes(tmp_path: Path) -> None:
    session = remember(tmp_path, 90)
    shutil.rmtree(session_folder(session).path)

    assert names(pruned(Policy(0, 0))) == [session]
    assert not session_folder(session).path.exists()


def test_a_repair_does_not_bring_back_what_was_pruned(tmp_path: Path) -> None:
    gone, stays = remember(tmp_path, 90), remember(tmp_path, 1)
    pruned(Policy(0, 86400 * 30))
    with Registry.open(registry_file()) as registry:
        registry.checkpoint()
    file = registry_file()
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"session":"' + stays.encode(), b'"session":"' + b"x" * len(stays)))

    done = repair(file)

    assert done.check.damage
    assert [each.session for each in done.found] == [stays]
    assert sessions() == [stays]
    with Registry.open(file) as registry:
        assert registry.pruned_sessions() == {gone: False}


KILLED = """
import os, signal, sys
from parexec_tui.engine.backends.local.worktrees.forgetting import Forgetter
from parexec_tui.keeping import pruning
from parexec_tui.paths import registry_file
from parexec_tui.registry import pruned
from parexec_tui.registry.database import Database
from parexec_tui.registry.registry import Registry

step, later = int(sys.argv[1]), float(sys.argv[2])
pruned._ROWS = 1
count = 0

def dies(function):
    def counted(*arguments, **named):
        global count
        done = function(*arguments, **named)
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return counted

Database.execute = dies(Database.execute)
os.unlink = dies(os.unlink)
os.rmdir = dies(os.rmdir)
policy = pruning.Policy(0, 0)
with Registry.open(registry_file()) as registry:
    found = pruning.survey(registry, policy, later)
    pruning.carry_out(registry, found, policy, later, Forgetter())
"""


def test_killed_at_any_step_it_is_whole_or_the_next_one_removes_the_rest(tmp_path: Path) -> None:
    template = tmp_path / "template"
    state = Path(os.environ["XDG_STATE_HOME"])
    session = remember(tmp_path, 90)
    with Registry.open(registry_file()) as registry:
        registry.checkpoint()
    shutil.copytree(state, template)
    ends = []
    for step in range(1, 40):
        shutil.rmtree(state)
        shutil.copytree(template, state)
        died = subprocess.run([sys.executable, "-c", KILLED, str(step), str(LATER)], check=False)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL
        if is_whole := sessions() == [session]:
            with Registry.open(registry_file(), read_only=True) as registry:
                assert replay(registry, session).last == 1
            assert (session_folder(session).attempts / "a.1.log").exists()
        done = pruned(Policy(0, 0))
        ends.append((is_whole, names(done) == [session], done.remnants == (session,)))
        assert sessions() == []
        assert not session_folder(session).path.exists()
        with Registry.open(registry_file()) as registry:
            assert registry.pruned_sessions() == {session: False}
    else:
        pytest.fail("it never came to its end")
    assert (True, True, False) in ends
    assert (False, False, True) in ends
