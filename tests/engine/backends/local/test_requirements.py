"""What is required is looked for: programs on the PATH of the process, their versions, files, variables."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from parexec_tui.core.plan.requirements import Requirements
from parexec_tui.engine.backends.local import requirements
from parexec_tui.engine.backends.local.requirements import RequirementLooker, Unmet
from tests.engine.engines import until

SYSTEM_PATH = os.environ["PATH"]


def tool(folder: Path, name: str, script: str) -> Path:
    """A program that appends a line to `asked` each time it is run."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho >> {folder}/asked\n{script}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def times_asked(folder: Path) -> int:
    file = folder / "asked"
    return len(file.read_text().splitlines()) if file.exists() else 0


def unmet(wanted: Requirements, folder: Path, checker: RequirementLooker | None = None, **env: str) -> list[Unmet]:
    path = {"PATH": f"{folder}:{SYSTEM_PATH}"}
    return list((checker or RequirementLooker()).unmet(wanted, env=path | env, cwd=str(folder), root=str(folder)))


def commands(*texts: str) -> Requirements:
    return Requirements(commands=texts)


def test_a_command_is_looked_for_on_the_path_of_the_process(tmp_path: Path) -> None:
    tool(tmp_path, "gen", "echo gen 2.5")
    assert unmet(commands("gen", "sh"), tmp_path) == []
    (found,) = unmet(commands("gen"), tmp_path, PATH=SYSTEM_PATH)
    assert (found.kind, found.text, found.problem) == ("commands", "gen", "required command gen is not found")
    assert times_asked(tmp_path) == 0  # nobody wanted to know a version


def test_a_command_with_a_slash_is_seen_from_the_folder_it_runs_in(tmp_path: Path) -> None:
    tool(tmp_path, "gen", "echo gen 2.5")
    (tmp_path / "text").write_text("no program")
    assert unmet(commands("./gen >= 2"), tmp_path, PATH="/nowhere") == []
    assert [each.text for each in unmet(commands("./none", "./text"), tmp_path)] == ["./none", "./text"]


@pytest.mark.parametrize(
    ("least", "is_enough"), [("2", True), ("2.5", True), ("2.5.0", True), ("2.5.1", False), ("2.10", False)]
)
def test_the_version_is_compared_number_by_number(tmp_path: Path, least: str, is_enough: bool) -> None:
    tool(tmp_path, "gen", "echo gen version 2.5 >&2; exit 1")
    found = unmet(commands(f"gen >= {least}"), tmp_path)
    assert [each.problem for each in found] == (
        [] if is_enough else [f"gen >= {least} is required, and {tmp_path}/gen is 2.5"]
    )


def test_a_program_is_asked_once_and_another_one_in_its_place_again(tmp_path: Path) -> None:
    checker, wanted = RequirementLooker(), commands("gen >= 2")
    tool(tmp_path, "gen", "echo 1.0")
    threads = [threading.Thread(target=unmet, args=(wanted, tmp_path, checker)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times_asked(tmp_path) == 1
    other = tool(tmp_path, "new", "echo 2.0")
    other.rename(tmp_path / "gen")
    assert unmet(wanted, tmp_path, checker) == []
    assert times_asked(tmp_path) == 2


def test_a_program_that_told_nothing_is_asked_again(tmp_path: Path) -> None:
    checker, wanted = RequirementLooker(), commands("gen >= 2")
    tool(tmp_path, "gen", f"cat {tmp_path}/version 2>/dev/null")
    assert unmet(wanted, tmp_path, checker)
    (tmp_path / "version").write_text("gen 2.1")
    assert unmet(wanted, tmp_path, checker) == []
    assert times_asked(tmp_path) == 2


def test_a_shim_may_answer_otherwise_elsewhere_or_with_another_variable(tmp_path: Path) -> None:
    checker, wanted = RequirementLooker(), commands("gen >= 2")
    tool(tmp_path, "gen", "cat version || echo $GEN")
    assert unmet(wanted, tmp_path, checker, GEN="2.0") == []
    assert unmet(wanted, tmp_path, checker, GEN="1.0")
    assert unmet(wanted, tmp_path, checker, GEN="2.0", PAREXEC_TICKET="another", PWD="/") == []
    assert times_asked(tmp_path) == 2, "what tells one attempt from another does not matter"
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "version").write_text("1.0")
    env = {"PATH": f"{tmp_path}:{SYSTEM_PATH}", "GEN": "2.0"}
    assert list(checker.unmet(wanted, env=env, cwd=str(tmp_path / "old"), root=str(tmp_path)))


def test_what_a_plan_brings_along_is_not_run_to_look_at_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    tool(tmp_path / "ours", "gen", "echo 1.0")
    tool(tmp_path / "theirs", "gen", "echo 1.0")
    monkeypatch.setenv("PATH", f"{tmp_path}/ours:{SYSTEM_PATH}")
    wanted = Requirements(commands=("gen >= 2",))
    cwd = str(tmp_path / "theirs")

    def look(wanted: Requirements, **more: str) -> list[str]:
        found = RequirementLooker(only_ours=True).unmet(wanted, env={**os.environ, **more}, cwd=cwd, root=cwd)
        return [each.problem for each in found]

    assert look(wanted) == [f"gen >= 2 is required, and {tmp_path}/ours/gen is 1.0"]
    assert look(Requirements(commands=("./gen >= 2",))) == []
    assert look(wanted, PATH=cwd) == []
    assert look(wanted, LD_PRELOAD="./theirs.so") == []
    assert look(Requirements(commands=("./none >= 2",))) == ["required command ./none is not found"]
    assert (times_asked(tmp_path / "ours"), times_asked(tmp_path / "theirs")) == (1, 0)


def test_a_program_that_does_not_answer_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "VERSION_WITHIN", 0.5)
    tool(tmp_path, "gen", f"sleep 1000 & echo $! > {tmp_path}/child; wait")
    began = time.monotonic()
    (found,) = unmet(commands("gen >= 1"), tmp_path)
    assert "does not answer" in found.problem
    assert time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    until(lambda: has_ended(child), "what it started is dead")  # it may be marked for death and not have run since


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_program_that_prints_for_ever_is_not_read_for_ever(tmp_path: Path) -> None:
    tool(tmp_path, "gen", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
    (found,) = unmet(commands("gen >= 1"), tmp_path)
    assert found.problem.endswith("it tells no number with `--version`")


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    tool(tmp_path, "gen", "").write_text("#!/no/such/interpreter\n")
    (found,) = unmet(commands("gen >= 1"), tmp_path)
    assert "it cannot be run" in found.problem


def test_files_are_paths_or_patterns_seen_from_the_workdir(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").touch()
    (tmp_path / "empty").mkdir()
    wanted = Requirements(files=("data/a.csv", "data", "empty", "data/*.csv", "data/*.txt", "none", "/"))
    assert [(each.kind, each.text) for each in unmet(wanted, tmp_path)] == [
        ("files", "data/*.txt"),
        ("files", "none"),
    ]


def test_a_variable_must_be_set_and_not_empty(tmp_path: Path) -> None:
    found = unmet(Requirements(env=("A", "B", "C")), tmp_path, A="secret", B="")
    assert [each.problem for each in found] == ["required variable B is empty", "required variable C is not set"]
