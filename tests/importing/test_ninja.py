"""A build.ninja becomes a plan."""

import shutil
import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.ninja_file import quoted, read_ninja
from parexec_tui.importing.toml_text import plan_text

BUILD = """\
ninja_required_version = 1.5
cflags = -O0
pool heavy
  depth = 2

rule cc
  command = cc $cflags -MD -MF $out.d -c $in -o $out
  description = CC $out
  depfile = $out.d
  deps = gcc
rule link
  command = cc @$out.rsp -o $out
  rspfile = $out.rsp
  rspfile_content = $in $
      $libs
  pool = heavy
rule gen
  command = ./gen $in > $out
  pool = console
rule again
  command = ./configure
  generator = 1

# what is below is evaluated with the last value
build gen/version.h: gen version.in
build obj/a.o: cc src/a.c | src/a.h || gen/version.h
build obj/b$ b.o: cc src/b$:b.c
  cflags = -O2
build libs: phony obj/b$ b.o
build app | app.map: link obj/a.o | libs
  libs = -lm
build stamp: gen app |@ check
build check: gen app
build all: phony app stamp
build other: gen version.in
build always: phony
build each-time: gen always
build build.ninja: again
cflags = -O1
default all each-time
"""


def imported(folder: Path, text: str = BUILD, *parts: str) -> Draft:
    (folder / "build.ninja").write_text(text)
    draft = read("ninja", Wanted(folder, folder, parts))
    read_plan(plan_text(draft), source="plan.toml", folder=str(folder), format="toml")
    return draft


def test_edges_become_tickets_with_the_files_and_the_order_that_ninja_knows(tmp_path: Path) -> None:
    tickets = imported(tmp_path).tickets
    assert list(tickets) == ["gen-version.h", "obj-a.o", "obj-b-b.o", "app", "stamp", "check", "each-time"]
    assert tickets["obj-a.o"] == {
        "title": "CC obj/a.o",
        "after": ["gen-version.h"],
        "reads": ["src/a.c", "src/a.h"],
        "writes": ["obj/a.o"],
        "depfile": "obj/a.o.d",
        "run": "test -d obj || mkdir -p obj || exit\ncc -O1 -MD -MF obj/a.o.d -c src/a.c -o obj/a.o",
    }
    assert tickets["obj-b-b.o"]["run"].endswith("cc -O2 -MD -MF 'obj/b b.o'.d -c 'src/b:b.c' -o 'obj/b b.o'")
    assert tickets["app"] == {
        "needs": ["obj-a.o", "obj-b-b.o"],
        "reads": ["obj/a.o", "obj/b b.o"],
        "writes": ["app", "app.map"],
        "uses": {"heavy": 1},
        "run": "printf %s 'obj/a.o -lm' > app.rsp\ncc @app.rsp -o app && rm -f app.rsp",
    }
    assert tickets["check"]["needs"] == ["app"]
    assert "check" not in str(tickets["stamp"])
    assert tickets["each-time"]["up_to_date"] is False


def test_pools_become_resources_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    draft = imported(tmp_path)
    assert draft.tables["resources"] == {"console": 1, "heavy": 2}
    assert draft.warnings == [
        "1 target that ninja builds only by name: other; `parexec import ninja build.ninja TARGET` takes one"
    ]
    assert f"not carried over: {draft.warnings[0]}" in draft.comments[()]
    assert list(imported(tmp_path, BUILD, "other").tickets) == ["other"]
    dyn = "rule r\n  command = x\n  deps = msvc\n  dyndep = dd\nbuild a: r || dd\nbuild dd: r\n"
    draft = imported(tmp_path, dyn)
    assert [warning.rpartition("build.ninja")[2] for warning in draft.warnings] == [
        ":5: deps = msvc: changes of files that it includes are not seen",
        ":5: dyndep: what it finds out while it runs is not waited for",
        ":6: deps = msvc: changes of files that it includes are not seen",
        ":6: dyndep: what it finds out while it runs is not waited for",
    ]
    assert len(draft.comments["tickets", "a"]) == 2


def test_a_file_that_is_included_has_the_scope_that_ninja_gives_it(tmp_path: Path) -> None:
    (tmp_path / "rules.ninja").write_text("v = of rules\nrule r\n  command = $v $w $out\n")
    (tmp_path / "sub.ninja").write_text("v = of sub\nbuild sub.o: r\nbuild own.o: r\n  w = own\n")
    edges = "w = outer\ninclude rules.ninja\nsubninja sub.ninja\nbuild main.o: r\n"
    tickets = imported(tmp_path, edges).tickets
    runs = {id_: ticket["run"] for id_, ticket in tickets.items()}
    assert runs == {"sub.o": "of sub outer sub.o", "own.o": "of sub own own.o", "main.o": "of rules outer main.o"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("build a: r b\n", ":1: there is no rule r"),
        ("rule r\n  command = x\n\nbuild a $\n  b r\n", ":4: a ':' is wanted after the outputs"),
        ("v = $.\n", ":1: bad $-escape '$.': write $$ for a $ itself"),
        ("rule r\n  command = $command\nbuild a: r\n", ":3: $command of rule r stands for itself"),
        ("build a: phony\nbuild a: phony\n", ":2: a is made by"),
        ("include none.ninja\n", "none.ninja: No such file or directory"),
        ("build x: phony\ndefault y\n", "it has no target 'y': `ninja -t targets all` lists them"),
        ("frob\n", ":1: not a statement of ninja: 'frob'"),
        ("include build.ninja\n", "files include each other"),
        ("pool p\n  depth = many\n", ":1: pool p has no depth that is a number"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ImportFault) as fault:
        imported(tmp_path, text)
    assert said in str(fault.value)


@pytest.mark.skipif(shutil.which("ninja") is None, reason="there is no ninja to compare with")
def test_commands_are_those_that_ninja_would_run(tmp_path: Path) -> None:
    (tmp_path / "build.ninja").write_text(BUILD)
    file = read_ninja(tmp_path / "build.ninja")
    ran = subprocess.run(
        ["ninja", "-t", "commands", *file.by_output], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert {edge.value("command") for edge in file.edges if not edge.is_phony} == set(ran.stdout.splitlines())


def test_paths_are_quoted_as_ninja_quotes_them() -> None:
    assert [quoted(path) for path in ("a/b-c.o", "it's", "a b")] == ["a/b-c.o", "'it'\\''s'", "'a b'"]
