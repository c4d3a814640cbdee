"""A justfile becomes a plan, as just itself understands it."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.toml_text import plan_text
from tests.engine.lifecycle.detached import parexec

JUSTFILE = """\
set shell := ["bash", "-euo", "pipefail", "-c"]
target := "debug"
out := "build" / target
version := `echo 1.2` + "-x"
host := env("THIS_HOST", "local")
export MODE := target
default: check (test "unit") && notify
[private]
check:
    # nothing
    @echo check {{out}} {x} {{{{y}} >> log
    -false
    cd / && A=1
    if [ "{{target}}" = debug ]; then \\
      echo "A is ${A:-unset}, it's {{version}} on {{host}}" >> log; \\
    fi
# Test a part
[confirm]
test kind *flags: build
    echo test {{kind}} {{flags}} {{quote(kind)}} >> log
@build mode=target $LEVEL="1":
    echo build {{mode}} $LEVEL $MODE >> log
notify:
    #!/usr/bin/env python3
    open("log", "a").write("notify {{target}}\\n")
clean:
    rm -f log
"""


def imported(folder: Path, text: str, *parts: str) -> Draft:
    (folder / "justfile").write_text(text)
    draft = read("just", Wanted(folder, folder, parts))
    read_plan(plan_text(draft), source="plan.toml", folder=str(folder), format="toml")
    return draft


def test_recipes_run_one_after_another_with_their_arguments_and_defaults(tmp_path: Path) -> None:
    draft = imported(tmp_path, JUSTFILE)
    assert draft.tables["vars"] == {
        "target": "debug",
        "out": "build/{target}",
        "MODE": "{target}",
        "mode": "{target}",
        "LEVEL": "1",
        "flags": "",
    }
    assert draft.tables["defaults"] == {"env": {"MODE": "{MODE}"}}
    needs = {id_: each.get("needs", []) for id_, each in draft.tickets.items()}
    assert needs == {"check": [], "build": ["check"], "test-unit": ["build"], "notify": ["test-unit"]}
    assert draft.tickets["test-unit"] == {
        "needs": ["build"],
        "title": "Test a part",
        "approve": "before",
        "run": "echo test unit {flags} unit >> log",
    }
    assert draft.tickets["build"]["env"] == {"LEVEL": "{LEVEL}"}
    assert draft.warnings == [
        "1 recipe that just takes only by name: clean; `parexec import just justfile RECIPE` takes one"
    ]
    assert list(imported(tmp_path, JUSTFILE, "clean").tickets) == ["clean"]


def test_a_plan_does_what_just_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)
    text = JUSTFILE.replace("[confirm]\n", "") + "\nlast: default (by-itself 'a b')\n"
    text += "by-itself word:\n    echo {{ if target == 'debug' { uppercase(word) } else { word } }} >> log\n"
    draft = imported(tmp_path, text, "last")
    assert draft.warnings == ["justfile: just itself runs recipe by-itself: a plan cannot say {{if ...}}"]
    assert draft.tickets["by-itself-a-b"]["run"] == (
        "just --justfile justfile --no-deps --set target {target!q} by-itself 'a b'"
    )
    subprocess.run(["just", "last"], cwd=tmp_path, check=True, capture_output=True)
    told = (tmp_path / "log").read_text()
    assert told.count("\n") == 6
    (tmp_path / "log").unlink()
    parexec("import", "just", ".", "last", "-o", "plan.toml", cwd=tmp_path)
    parexec("run", "plan.toml", "--headless", cwd=tmp_path)
    assert (tmp_path / "log").read_text() == told


def test_nothing_runs_without_what_a_recipe_has_to_be_given(tmp_path: Path) -> None:
    text = "wipe dir sub=(dir / 'x'): (make sub)\n    touch wiped\n    rm -rf {{dir}}/\n"
    text += "make what:\n    touch {{what}}-made\n"
    (tmp_path / "justfile").write_text(text)
    parexec("import", "just", ".", "wipe", "-o", "plan.toml", cwd=tmp_path)
    parexec("run", "plan.toml", "--headless", cwd=tmp_path, code=1)
    assert not [*tmp_path.glob("wiped"), *tmp_path.glob("*-made")]
    (tmp_path / "d").mkdir()
    parexec("run", "plan.toml", "--headless", "--set", "dir=d", cwd=tmp_path)
    assert (tmp_path / "wiped").exists()
    assert not (tmp_path / "d").exists()


def test_what_cannot_be_carried_over_is_said_at_its_place(tmp_path: Path) -> None:
    text = """\
set dotenv-load
set positional-arguments
mod docs
t kind: docs::build (u `echo x`)
    echo $1
[macos, linux, android]
u word: v w
    echo {{word}} '{{word}}'
[script]
v:
    echo
[script("python3", "-I")]
w:
    print()
"""
    (tmp_path / "docs.just").write_text("build:\n    echo\n")
    draft = imported(tmp_path, text, "t")
    assert draft.warnings == [
        "recipe t wants kind: put it here, or `--set kind=...`",
        "justfile: just itself runs recipe docs::build: docs::build is in a module",
        "justfile: just itself runs recipe v: just does not tell the interpreter of [script]",
        "justfile: just itself runs recipe u: a plan cannot say {{word}}",
        "justfile: just itself runs recipe t: it may use positional arguments, $1",
    ]
    assert draft.tickets["u"]["run"] == 'just --justfile justfile --no-deps u "$(echo x)"'
    assert draft.tickets["docs-build"]["run"] == "just --justfile justfile docs::build"
    assert draft.tickets["t"]["run"].splitlines() == [
        "if [ -z {kind!q} ]; then echo 'recipe t wants kind: --set kind=...' >&2; exit 2; fi",
        "just --justfile justfile --no-deps t {kind!q}",
    ]
    assert draft.tickets["w"]["run"].endswith('print()\nEND\nchmod +x "$recipe"\npython3 -I "$recipe"')
    written = plan_text(draft)
    assert draft.tables["defaults"] == {"env_file": [".env?"]}
    assert "# just itself runs this recipe: docs::build is in a module\n[tickets.docs-build]" in written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t:\n", "it has no recipe 'x': name one of t"),
        ("x: y\n", "justfile:1: recipe `x` has unknown dependency `y`"),
        ("x:\n    echo {{y}}\n", "justfile:2: variable `y` not defined"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ImportFault) as fault:
        imported(tmp_path, text, "x")
    assert said in str(fault.value)
