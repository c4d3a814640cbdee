"""The stand-ins take what parexec gives the real CLIs, and print nothing that those were not recorded to print."""

import importlib.util
import subprocess
from itertools import product
from pathlib import Path

import pytest

from parexec_tui.agents.brief import PERMISSIONS, Brief, Caps
from parexec_tui.agents.start import start_of
from tests.agents.real_agents import shapes
from tests.agents.recorded import FOLDER as RECORDINGS
from tests.engine.stand_ins import FOLDER, KINDS

PLAY = "[say hi]\n[plan 1/2 Look]\n[run echo hi]\n[write made.txt it]\n[retry 1/4 503 0]\n{}"
UNRECORDED = {"codex": {"item.completed/todo_list", "item.completed/file_change"}}
"""What the readers know from what the CLIs document: no recording has it."""


def flags(kind: str) -> set[str]:
    spec = importlib.util.spec_from_file_location("stand_in", FOLDER / "stand_in.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    valued, plain, _ = module.FLAGS[kind]
    return set(f"{valued} {plain}".split())


@pytest.mark.parametrize("kind", KINDS)
def test_it_knows_every_argument_that_parexec_gives(kind: str) -> None:
    known = flags(kind)
    for permissions, goes_on, asks, model in product(PERMISSIONS, (False, True), (False, True), ("", "m")):
        brief = Brief(kind=kind, prompt="x", facts="f", stream="s", errors="e", conversation="c1", model=model)
        brief = brief._replace(permissions=permissions, goes_on=goes_on, asks=asks)
        brief = brief._replace(caps=Caps(cost=1.0), allow=("Bash(ls *)",))
        words = start_of(brief, folder="/", in_git=False).argv[1:]
        assert {word for word in words if word.startswith("-")} <= known, words


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["", "[limit 9]", "[ask rm x]"])
def test_it_prints_what_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, end: str) -> None:
    monkeypatch.setenv("STAND_IN_HOME", str(tmp_path / "home"))
    brief = Brief(
        kind=kind, prompt="", permissions="edit", facts="f", stream="s", errors="e", program=(str(FOLDER / kind),)
    )
    started = start_of(brief, folder=str(tmp_path), in_git=False)
    for name, value in started.env.items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "it.stream").open("wb") as file:
        subprocess.run(started.argv, input=PLAY.format(end).encode(), stdout=file, cwd=tmp_path, check=False)
    printed = shapes(tmp_path) - UNRECORDED.get(kind, set())
    assert len(printed) >= 3
    assert printed <= shapes(RECORDINGS / kind)
