"""`parexec init`: what it finds in a folder, and the plan that it writes."""

import shutil
from pathlib import Path

import pytest

from parexec_tui.cli.folder_looks import look_at, written
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from tests.cli.test_cli import parexec, refused

MAKEFILE = """
CC := cc
NAME ?= x
VERSION ::= 1
.PHONY: all test lint
all: main.o
\techo one: two
main.o util.o: main.c
test lint: all
\ttouch $@.done
"""


def plan_of(here: Path, **files: str) -> Plan:
    """The plan of a folder with these files (`_` for `.` in a name)."""
    for name, text in files.items():
        (here / name.replace("_", ".")).write_text(text, encoding="utf-8")
    text = "\n".join(written(look_at(here), {"name": here.name}))
    return read_plan(text, source="plan.toml", folder=str(here), format="toml")


@pytest.fixture
def has_all(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with these tools, and no others."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("make", "ninja", "cmake", "ctest", "ruff", "pytest", "npm", "pnpm", "cargo", "go", "uv"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))


@pytest.mark.usefixtures("has_all")
def test_a_makefile_gives_the_targets_that_people_call(here: Path) -> None:
    plan = plan_of(here, Makefile=MAKEFILE)
    assert "parexec import make" in look_at(here)[0].remarks[-1]
    assert {id_: (ticket.run, ticket.needs) for id_, ticket in plan.tickets.items()} == {
        "make-all": ("make all", ()),
        "make-lint": ("make lint", ("make-all",)),
        "make-test": ("make test", ("make-all",)),
    }


@pytest.mark.usefixtures("has_all")
def test_targets_without_a_build_before_them_run_one_at_a_time(here: Path) -> None:
    plan = plan_of(here, Makefile="test: a\nlint: a\na:\n\ttouch a\n")
    assert {id_: ticket.locks for id_, ticket in plan.tickets.items()} == {
        "make-lint": ("make",),
        "make-test": ("make",),
    }


@pytest.mark.usefixtures("has_all")
def test_the_file_that_make_would_take_is_looked_at(here: Path) -> None:
    assert set(plan_of(here, Makefile="all:\n", GNUmakefile="other:\n").tickets) == {"make-other"}


@pytest.mark.usefixtures("has_all")
def test_python_tools_are_those_that_the_project_names(here: Path) -> None:
    project = (
        '[project]\nname = "x"\nversion = "1"\n[project.optional-dependencies]\ntest = ["pytest>=8", "pytest-cov"]\n'
    )
    plan = plan_of(here, pyproject_toml=f"{project}[tool.ruff]\n")
    assert {id_: ticket.run for id_, ticket in plan.tickets.items()} == {"ruff": "ruff check", "pytest": "pytest"}
    (here / "uv.lock").touch()
    assert plan_of(here).tickets["pytest"].run == "uv run pytest"
    tool = here / ".venv" / "bin" / "pytest"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert plan_of(here).tickets["pytest"].run == ".venv/bin/pytest"


@pytest.mark.usefixtures("has_all")
def test_a_tool_that_another_one_is_named_after_is_not_meant(here: Path) -> None:
    assert "pytest" not in plan_of(here, pyproject_toml='[project]\ndependencies = ["pytest-cov"]\n').tickets


@pytest.mark.usefixtures("has_all")
def test_scripts_of_a_package_need_what_installs_it(here: Path) -> None:
    scripts = (
        '{"scripts": {"lint": "eslint", "test:unit": "jest", "test": "echo Error: no test specified && exit 1"}}'
    )
    plan = plan_of(here, package_json=scripts)
    assert {id_: ticket.run for id_, ticket in plan.tickets.items()} == {
        "npm-install": "npm install",
        "npm-lint": "npm run lint",
        "npm-test-unit": "npm run test:unit",
    }
    assert plan.tickets["npm-lint"].needs == ("npm-install",)
    (here / "pnpm-lock.yaml").touch()
    assert plan_of(here).tickets["pnpm-lint"].run == "pnpm run lint"


@pytest.mark.usefixtures("has_all")
def test_other_files_give_what_their_tools_are_called_with(here: Path) -> None:
    plan = plan_of(here, CMakeLists_txt="", build_ninja="", Cargo_toml="", go_mod="")
    assert {ticket.run.split()[0] for ticket in plan.tickets.values()} == {"cmake", "ctest", "ninja", "cargo", "go"}
    assert plan.tickets["cmake-test"].needs == ("cmake-build",)


def test_what_is_not_on_this_machine_is_a_comment_and_then_there_is_an_example(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert set(plan_of(here, go_mod="module x\n").tickets) == {"hello", "world"}
    text = "\n".join(written(look_at(here), {}))
    assert '# go is not found here:\n# [tickets.go-build]\n# run = "go build ./..."' in text


@pytest.mark.usefixtures("has_all")
def test_a_file_that_cannot_be_read_is_said_in_the_plan(here: Path) -> None:
    plan = plan_of(here, pyproject_toml="[project\n", package_json='["x"]', Makefile="all:\n")
    assert set(plan.tickets) == {"make-all"}
    text = "\n".join(written(look_at(here), {}))
    assert "# -- pyproject.toml --\n# it could not be read: " in text
    assert "# -- package.json --\n# it has no scripts" in text


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_plan_is_written_and_runs_and_is_not_written_over(here: Path) -> None:
    (here / "Makefile").write_text("all:\n\techo $@ > built\ntest:\n\ttest -f built\n", encoding="utf-8")
    answer = parexec("init", "-o", "plans/night.toml")
    assert (answer.code, answer.out) == (1, ""), "there is no such folder"
    (here / "plans").mkdir()
    answer = parexec("init", "-o", "plans/night.toml")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "Makefile: make-all, make-test",
        "written: plans/night.toml (2 tickets)",
        "next: parexec validate plans/night.toml; parexec run plans/night.toml",
    ]
    assert parexec("run", "plans/night.toml", "--headless").code == 0
    assert (here / "built").read_text() == "all\n"

    (here / "plans" / "night.toml").write_text("mine")
    answer = parexec("init", "-o", "plans/night.toml")
    assert answer.code == 1
    assert "--force replaces it" in answer.err
    assert (here / "plans" / "night.toml").read_text() == "mine"
    assert parexec("init", "-o", "plans/night.toml", "--force").code == 0
    assert "make-test" in (here / "plans" / "night.toml").read_text()


def test_an_odd_name_of_the_folder_is_no_matter(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = here / 'a "b" \\c {d}'
    odd.mkdir()
    monkeypatch.chdir(odd)
    assert parexec("init").code == 0
    assert parexec("validate", "plan.toml").code == 0
    assert "no-such" in refused("init", "--no-such")
