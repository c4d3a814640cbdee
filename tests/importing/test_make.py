"""A Makefile becomes a plan, as GNU make itself understands it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.toml_text import plan_text
from tests.engine.lifecycle.detached import parexec

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")

MAKEFILE = """\
CFLAGS = -O2
OBJ := $(patsubst %.c,%.o,$(wildcard *.c))
export FOO = bar
all: app docs
app: $(OBJ) | out
\tcat $(OBJ) > $@
\t-@chmod a+x $@
\tcd out; echo '{OBJ}' > made
%.o: %.c a.h
\t@echo $(CFLAGS) > $@; \\
\t  cat $< >> $@
out:
\tmkdir -p $@
docs: FORCE
\t$(MAKE) -C doc all
y.c y.h: grammar
\tfalse
FORCE:
clean:
\trm -f app
.PHONY: all clean docs
"""


def imported(folder: Path, text: str = MAKEFILE, *parts: str) -> Draft:
    (folder / "Makefile").write_text(text)
    draft = read("make", Wanted(folder, folder, parts))
    read_plan(plan_text(draft), source="plan.toml", folder=str(folder), format="toml")
    return draft


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for name in ("a.c", "b.c", "a.h"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_targets_become_tickets_with_what_make_knows_of_them(work: Path) -> None:
    draft = imported(work)
    assert draft.tables["defaults"] == {"up_to_date": True, "env": {"FOO": "bar"}}
    assert sorted(draft.tickets) == ["a.o", "app", "b.o", "docs", "out"]
    assert draft.tickets["a.o"] == {
        "reads": ["a.c", "a.h"],
        "writes": ["a.o"],
        "run": "echo -O2 > a.o; \\\n  cat a.c >> a.o",
    }
    assert draft.tickets["app"] == {
        "needs": ["a.o", "b.o"],
        "after": ["out"],
        "reads": ["a.o", "b.o"],
        "writes": ["app"],
        "run": "(\ncat a.o b.o > app\n) &&\n{ chmod a+x app || true; } &&\n(\ncd out; echo '{{OBJ}}' > made\n)",
    }
    assert draft.tickets["out"] == {"skip_if": "test -d out", "run": "mkdir -p out"}
    assert draft.tickets["docs"] == {"up_to_date": False, "run": "make -C doc all"}


def test_what_is_left_out_is_said_at_its_place(work: Path) -> None:
    draft = imported(work)
    assert draft.warnings == [
        "Makefile:15: it runs make itself, as one ticket: import that Makefile by itself",
        "1 target that make takes only by name: clean; `parexec import make Makefile TARGET` takes one",
    ]
    assert draft.comments["tickets", "docs"] == [
        f"not carried over: {draft.warnings[0].partition(': ')[2]} (Makefile:15)"
    ]
    assert list(imported(work, MAKEFILE, "clean").tickets) == ["clean"]


def test_nothing_is_made_by_an_import_not_even_a_makefile(work: Path) -> None:
    (work / "rules.mk.in").write_text("X = 1\n")
    (work / "rules.mk").write_text("X = 0\n")
    before = {each.name: each.read_bytes() for each in work.iterdir()}
    text = "include rules.mk\nall: ; @echo $(X) > x\n\t$(MAKE) -C . other\nrules.mk: rules.mk.in ; cp $< $@\n"
    imported(work, text, "all")
    assert {each.name: each.read_bytes() for each in work.iterdir()} == before | {"Makefile": text.encode()}


@pytest.mark.parametrize("text", ["x.d: a.c\n\tgen $@\n-include x.d\n", "-include x.d\n%.d: %.c\n\tgen $@\n"])
def test_a_makefile_that_make_would_make_first_hides_no_goal(work: Path, text: str) -> None:
    (work / "x.c").touch()
    goal = "all: prog\nprog: x.o\n\tld x.o\nx.o: a.c\n\tcc a.c\nMakefile: a.c\n\tconfigure\n"
    draft = imported(work, goal + text)
    assert list(draft.tickets) == ["x.o", "prog"]
    assert "what makefiles say that make would make first (x.d)" in draft.warnings[0]
    assert "`make x.d`" in draft.warnings[0]
    (work / "x.d").write_text("x.o: a.h\n")
    draft = imported(work, goal + text)
    assert draft.tickets["x.o"]["reads"] == ["a.c", "a.h"]
    assert draft.warnings == []


def test_what_make_prints_is_no_line_of_a_recipe(work: Path) -> None:
    text = (
        "$(info CC=$(CC))\n$(info touch pwned)\nall: one two\none:\n\techo 1 > one\n"
        "two:\n\t$(info touch pwned)\n\t+echo touch pwned; touch pwned\n\t@-rm $@\n\t$(eval X = 1)\n"
    )
    draft = imported(work, text)
    assert {id_: ticket["run"] for id_, ticket in draft.tickets.items()} == {
        "one": "echo 1 > one",
        "two": "(\necho touch pwned; touch pwned\n) &&\n{ rm two || true; }",
    }
    assert "env" not in draft.tables["defaults"]
    assert not (work / "pwned").exists()


@pytest.mark.parametrize("line", ["$(MAKE) -C sub", "cd sub && $(MAKE)", "+$(MAKE) -C sub"])
def test_a_makefile_below_is_not_taken_for_the_one_that_is_asked(work: Path, line: str) -> None:
    (work / "sub").mkdir()
    (work / "sub/Makefile").write_text("foo:\n\ttouch foo\n")
    draft = imported(work, f"all:\n\t{line}\n")
    made = line.replace("$(MAKE)", "make").removeprefix("+")
    assert draft.tickets == {"all": {"up_to_date": False, "run": made}}
    assert not (work / "sub/foo").exists()


@pytest.mark.parametrize(
    ("recipe", "is_folder"),
    [
        ("mkdir -p d", True),
        ("mkdir d/ 2>/dev/null || true", True),
        ("mkdir -p d && cp a.c d", False),
        ("mkdir -p o; touch d", False),
        ("mkdir -p o", False),
    ],
)
def test_a_folder_is_what_mkdir_makes_and_nothing_else(work: Path, recipe: str, is_folder: bool) -> None:
    (ticket,) = imported(work, f"d: a.c\n\t{recipe}\n").tickets.values()
    files = {"skip_if": "test -d d"} if is_folder else {"reads": ["a.c"], "writes": ["d"]}
    assert ticket == {**files, "run": recipe}


def test_what_make_removes_at_its_end_stays(work: Path) -> None:
    draft = imported(work, "r: t\n\tcp t r\nt: a.c\n\tcp a.c t\n.INTERMEDIATE: t\n")
    assert draft.tickets["r"] == {"needs": ["t"], "reads": ["t"], "writes": ["r"], "run": "cp t r"}


def test_variables_of_a_target_hide_none_of_its_sources(work: Path) -> None:
    draft = imported(work, "x: CFLAGS = -g\nx: a.c\n\tcc $(CFLAGS) $(DEFS) a.c\n", "DEFS=-DX", "x")
    assert draft.tickets["x"] == {"reads": ["a.c"], "writes": ["x"], "run": "cc -g -DX a.c"}


def test_what_is_not_utf_8_is_said(work: Path) -> None:
    (work / "Makefile").write_bytes(b"x:\n\techo \xff > x\n")
    draft = read("make", Wanted(work, work, ()))
    assert draft.warnings == ["Makefile:2: bytes that are not UTF-8, which no plan can have: \ufffd stands there"]


def test_what_info_says_is_no_variable(work: Path) -> None:
    draft = imported(work, "$(info T = false)\nT = -\nx:\n\t$(T)rm x\n")
    assert draft.tickets["x"]["run"] == "{ rm x || true; }"


@pytest.mark.parametrize(
    ("said", "shell"), [(":= /bin/bash", "/bin/bash"), ("= $(firstword /usr/bin/env) bash", "/usr/bin/env bash")]
)
def test_shells_are_those_of_the_makefile(work: Path, said: str, shell: str) -> None:
    text = f"SHELL {said}\n.SHELLFLAGS := -eu -c\nX := $(shell [[ x == x ]] && echo $$-)\n"
    draft = imported(work, text + "x:\n\t$(SHELL) $(X) $(shell [[ x == x ]] && echo y)\n")
    assert draft.tables["plan"]["shell"] == [*shell.split(), "-eu", "-c"]
    assert draft.tickets["x"]["run"] == f"{shell} ehuBc y"


def test_a_target_that_its_recipe_does_not_make_is_made_each_time(work: Path) -> None:
    imported(work, "deploy: a.c\n\techo x >> deployed\n")
    parexec("import", "make", ".", "-o", "plan.toml", cwd=work)
    for _ in range(2):
        parexec("run", "plan.toml", "--headless", cwd=work)
    assert (work / "deployed").read_text() == "x\nx\n"


def test_recipes_run_as_make_runs_them(work: Path) -> None:
    text = MAKEFILE.replace("all: app docs", "all: app")
    imported(work, text)
    subprocess.run(["make"], cwd=work, check=True, capture_output=True)
    made = {name: (work / name).read_text() for name in ("a.o", "b.o", "app", "out/made")}
    subprocess.run(["rm", "-r", "out", *list(made)[:3]], cwd=work, check=True)
    parexec("import", "make", ".", "-o", "plan.toml", cwd=work)
    parexec("run", "plan.toml", "--headless", cwd=work)
    assert {name: (work / name).read_text() for name in made} == made


@pytest.mark.parametrize(
    ("line", "run", "warnings"),
    [
        ("$(TRY)false", "{ false || true; }", 0),
        ("@${AGAIN} false", "{ false || true; }", 0),
        ("$(SH) false", "sh false", 0),
        ("$(if $(X),,-)false", "false", 1),
    ],
)
def test_a_dash_that_comes_out_of_a_variable_lets_a_line_fail(work: Path, line: str, run: str, warnings: int) -> None:
    draft = imported(work, f"TRY = @-\nAGAIN = $(TRY)\nSH = sh\nx:\n\t{line}\n")
    assert draft.tickets["x"]["run"] == run
    assert len(draft.warnings) == warnings


@pytest.mark.parametrize(
    ("recipe", "depfile"),
    [
        ("cc -MD -MF dep/x.P -c x.c -o x.o", "dep/x.P"),
        ("cc -MMD -c -o obj/x.o x.c", "obj/x.d"),
        ("cc -Wp,-MD,x.dep -c x.c", "x.dep"),
        ("cc -MT x.o -MD -MF x.Tpo -c x.c; mv -f x.Tpo x.Po", "x.Po"),
        ("cc -c x.c", None),
    ],
)
def test_a_compiler_that_says_what_it_reads_is_heard(work: Path, recipe: str, depfile: str | None) -> None:
    (work / "x.c").touch()
    assert imported(work, f"x.o: x.c\n\t{recipe}\n").tickets["x.o"].get("depfile") == depfile


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all: none\n\ttrue\n", "No rule to make target 'none', needed by 'all'"),
        ("all:\n  x\n", "Makefile:2: *** missing separator"),
        ("# nothing\n", "it has no target: name one"),
        ("all:\n\tx\noverride SHELL = /bin/bash\n", "leave `override` out"),
        ("x: override SHELL = /bin/bash\nx:\n\tx\n", "leave `override` out"),
    ],
)
def test_what_make_says_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ImportFault) as fault:
        imported(tmp_path, text)
    assert said in str(fault.value)
