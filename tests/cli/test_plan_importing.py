"""`parexec import FORMAT SOURCE`, as a person uses it."""

import json
from pathlib import Path

from tests.engine.lifecycle.detached import parexec

NINJA = """\
rule cp
  command = cp $in $out
build out/b: cp a || out/c
build out/c: cp a
build d: cp out/b
default d
"""


def test_a_plan_is_made_of_a_build_and_run_where_the_build_is(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "a").write_text("text")
    (here / "sub" / "build.ninja").write_text(NINJA)
    said = parexec("import", "ninja", "sub", "-o", "plan.toml", cwd=here)
    assert said == "plan.toml: 3 tickets; next: parexec run plan.toml\n"
    assert 'workdir = "sub"' in (here / "plan.toml").read_text()
    assert "--force replaces it" in parexec("import", "ninja", "sub", "-o", "plan.toml", cwd=here, code=1)
    parexec("run", "plan.toml", "--headless", cwd=here)
    assert (here / "sub" / "d").read_text() == "text"
    printed = parexec("import", "ninja", cwd=here / "sub")
    assert "workdir" not in printed
    done = json.loads(parexec("import", "ninja", "sub", "out/c", "-o", "x.toml", "--json", cwd=here))
    assert done == {"plan": str(here / "x.toml"), "tickets": 1, "warnings": []}


def test_odd_words_are_said_and_nothing_is_written(here: Path) -> None:
    for words, said in (
        (["frob", "."], "'frob' is no format that plans are made of: "),
        (["none"], "none: No such file; formats that plans are made of: "),
        (["x.tgz", "-o", "p.toml"], "-o and --force are about plans: parexec import FORMAT SOURCE"),
        (["ninja", "--max-size", "1K"], "--max-size is about archives of sessions"),
        (["ninja", ".", "-o", "p.toml"], "nothing is imported of .: there is no build.ninja in it: name the file"),
        (["ninja", "none"], "nothing is imported of none: there is no such file or folder"),
        (["ninja", ".", "--json"], "say which, with -o plan.toml"),
    ):
        assert said in parexec("import", *words, cwd=here, code=2)
    assert not list(here.iterdir())
