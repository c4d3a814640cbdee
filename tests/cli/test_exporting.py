"""`parexec export` and `parexec import`, as a person uses them."""

import json
import stat
import tarfile
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from tests.engine import engines
from tests.engine.engines import happened, run, start
from tests.engine.lifecycle.detached import parexec

PLAN = """
[plan]
name = "Nightly"
[tickets.build]
run = "seq 1 3000; echo built"
[tickets.test]
needs = ["build"]
run = "echo error: two; exit 3"
"""
LOOKS = (
    ("show",), ("status",), ("report",), ("report", "--format", "csv"), ("log", "build"),
    ("log", "test"), ("events",), ("graph", "--format", "dot"),
)  # fmt: skip


def test_a_session_of_another_machine_is_shown_as_it_was_there_and_is_not_run(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = run(here, PLAN)[1].session
    there = [parexec(*words, cwd=here) for words in LOOKS]
    said = parexec("export", "-o", "night.tar.gz", cwd=here)
    assert said.startswith(f"{session}: ")
    assert said.endswith(f"; written: {here / 'night.tar.gz'}\n")
    assert stat.S_IMODE((here / "night.tar.gz").stat().st_mode) == 0o600

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    done = json.loads(parexec("import", "night.tar.gz", "--json", cwd=here))

    assert (done["session"], done["status"], done["redacted"]) == (session, "finished", False)
    assert parexec("ls", cwd=here).split()[:2] == [session, "imported"]
    assert [parexec(*words, cwd=here) for words in LOOKS] == there
    for words, code in ((("resume", "--detach"), 2), (("retry", "test"), 1), (("edit", "test", "timeout=3m"), 2)):
        assert "it belongs to another machine" in parexec(*words, cwd=here, code=code), words
    again = parexec("export", session, "-o", "again.tar.gz", cwd=here)
    assert again.startswith(f"{session}: ")
    assert parexec("prune", "--older", "0", "--keep", "0", cwd=here).startswith(session)


def test_one_of_this_folder_is_meant_before_one_that_was_imported(here: Path) -> None:
    session = run(here, PLAN)[1].session
    parexec("export", "-o", "x.tgz", cwd=here)

    said = parexec("import", "x.tgz", cwd=here)

    assert said.startswith(f"imported: {session}_2 (it was {session}, which is taken here), Nightly, finished; ")
    assert json.loads(parexec("show", "--json", cwd=here))["session"] == session
    told = json.loads(parexec("report", f"{session}_2", "--format", "json", cwd=here))["sessions"][0]
    assert told["comparison"] is None, "what was before it is on the other machine"


def test_a_living_session_is_exported_up_to_now(here: Path) -> None:
    engine = start(here, '[tickets.A]\nrun = "echo first; until test -e go; do sleep 0.05; done; echo last"\n')
    engine.until(lambda: happened(ev.AttemptSpawned, ticket="A"), "it runs")
    session = engines.session()
    engines.until(lambda: "first" in parexec("log", "A", cwd=here), "it printed")

    said = parexec("export", "-o", "now.tar.gz", cwd=here)
    (here / "go").touch()
    assert engine.wait() == 0
    imported = json.loads(parexec("import", "now.tar.gz", "--json", cwd=here))

    assert "an engine runs it: what comes after this is not in it" in said
    assert (imported["was"], imported["status"], imported["lives"]) == (session, "running", True)
    assert parexec("log", "A", "-s", imported["session"], cwd=here) == "first\n"
    for words, code in ((("show",), 0), (("wait", "-s"), 1), (("attach", "--lines"), 1)):
        shown = parexec(*words, imported["session"], cwd=here, code=code)
        assert "gone" in shown
        assert "it was imported, and is only looked at here" in shown
        assert "parexec resume" not in shown


def test_what_is_masked_is_said(here: Path) -> None:
    token = "t0p-s3cr3t-value"
    run(here, f'[tickets.A]\nrun = "echo got $MY_TOKEN"\nenv = {{ MY_TOKEN = "{token}", MY_PASSWORD = "abc" }}\n')

    said = parexec("export", "-o", "x.tar.gz", "--redact", cwd=here)

    assert "masked: MY_TOKEN 2 times" in said
    assert "a value of MY_PASSWORD is masked where it is set, and it is too short to be looked for elsewhere" in said
    assert "other secrets may remain" in said
    imported = json.loads(parexec("import", "x.tar.gz", "--json", cwd=here))
    assert imported["redacted"]
    assert parexec("log", "A", "-s", imported["session"], cwd=here) == "got ***\n"


def test_files_are_not_replaced_unasked_and_odd_words_are_said(here: Path) -> None:
    run(here, PLAN)
    (here / "x.tar.gz").write_text("mine")
    assert "exists already: it is left as it is (--force" in parexec("export", "-o", "x.tar.gz", cwd=here, code=1)
    assert (here / "x.tar.gz").read_text() == "mine"
    parexec("export", "-o", "x.tar.gz", "--force", cwd=here)
    with tarfile.open(here / "x.tar.gz") as tar:
        assert tar.getnames()[0].endswith("/manifest.json")
    assert "parexec report -o FILE" in parexec("export", cwd=here, code=2)
    assert "use a name that ends with .tar.gz, .tgz, .tar.zst" in parexec("export", "-o", "x.zip", cwd=here, code=2)
    assert "no session 'none'" in parexec("export", "none", "-o", "y.tar.gz", cwd=here, code=2)
    assert sorted(each.name for each in here.iterdir()) == ["output.txt", "plan.toml", "x.tar.gz"]
    assert "nothing is imported of plan.toml: it is no" in parexec("import", "plan.toml", cwd=here, code=2)
    assert "none.tar.gz: No such file" in parexec("import", "none.tar.gz", cwd=here, code=2)
    assert "--max-size: 'much' is not a size" in parexec("import", "x.tar.gz", "--max-size", "much", cwd=here, code=2)
    assert "or else with --max-size" in parexec("import", "x.tar.gz", "--max-size", "1KiB", cwd=here, code=2)
