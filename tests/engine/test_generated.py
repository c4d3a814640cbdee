"""Tickets that real commands generate, over deaths of the engine."""

from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from parexec_tui.paths import session_folder
from tests.engine.engines import Engine, attempts_folder, happened, run, sessions, start, state_of

PLAN = """
[vars]
n = 2
[families.parts]
max_parallel = 1
[tickets.split]
generates = "parts"
run = '''
printf '[tickets.part]\\nforeach = {{ i = "1..{n}" }}\\nrun = "echo {{i}} of {{n}} >> out"\\n' > "$PAREXEC_TICKETS"
'''
gates = ["touch begun; until [ -e go ]; do sleep 0.02; done"]
[tickets.merge]
needs = ["parts"]
run = "sort out > merged"
"""


def test_generated_tickets_join_once_over_a_death_of_the_engine(tmp_path: Path) -> None:
    engine = start(tmp_path, PLAN)
    engine.until((tmp_path / "begun").exists, "the gate runs")
    engine.kill()
    (tmp_path / "go").touch()
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert (tmp_path / "merged").read_text() == "1 of 2\n2 of 2\n"
    assert [event.members for event in happened(ev.TicketsGenerated)] == [("part-1", "part-2")]
    state = state_of()
    assert "family:parts" in state.tickets["part-1"].claims.uses
    assert state.plan.tickets["merge"].needs == ("split", "part-1", "part-2")
    assert (attempts_folder() / "split.1.tickets").read_text().startswith("[tickets.part]")


def test_a_mistake_names_the_file_that_is_kept(tmp_path: Path) -> None:
    code, state = run(
        tmp_path,
        """
[tickets.split]
generates = "parts"
run = '''printf '[tickets.a]\\nrun = "true"\\nneeds = ["none"]\\n' > "$PAREXEC_TICKETS"'''
[tickets.folder]
generates = "more"
run = 'mkdir "$PAREXEC_TICKETS"'
[tickets.merge]
needs = ["parts"]
run = "true"
""",
    )
    assert code == 1
    file = attempts_folder() / "split.1.tickets"
    assert state.tickets["split"].reason == (
        f"its tickets: {file}:3:10: tickets.a.needs[0]: there is no ticket 'none'"
    )
    assert state.tickets["folder"].reason.endswith("no file: write TOML or JSON into it")
    assert state.plan.tickets.keys() == {"split", "folder", "merge"}


def test_one_that_is_up_to_date_generates_what_it_did_the_last_time(tmp_path: Path) -> None:
    plan = """
[plan]
name = "again"
[tickets.split]
generates = "parts"
up_to_date = true
reads = ["in"]
run = '''echo run >> ran; printf '[tickets.a]\\nrun = "echo a >> out"\\n' > "$PAREXEC_TICKETS"'''
[tickets.merge]
needs = ["parts"]
run = "cp out merged"
"""
    (tmp_path / "in").touch()
    assert run(tmp_path, plan)[0] == run(tmp_path, plan)[0] == 0
    assert (tmp_path / "ran").read_text() == "run\n"
    assert (tmp_path / "merged").read_text() == "a\na\n"
    newest, oldest = sessions()[0], sessions()[-1]
    assert {id_: each.status for id_, each in state_of().tickets.items()} == dict.fromkeys(
        ("split", "merge", "a"), Status.succeeded
    ), newest
    for each in (session_folder(oldest).attempts, session_folder(newest).attempts):
        (each / "split.1.tickets").unlink(missing_ok=True)
    assert run(tmp_path, plan)[0] == 0
    assert (tmp_path / "ran").read_text() == "run\nrun\n"


@pytest.mark.parametrize("gate", ["until [ -e written ]; do sleep 0.02; done; sleep 0.3; ls >> seen", "ls >> seen"])
def test_what_joins_a_group_waits_for_its_gates_and_for_what_they_let_start(tmp_path: Path, gate: str) -> None:
    plan = f"""
[group.g]
gates = ['{gate}']
[tickets.base]
group = "g"
run = "true"
[tickets.out]
needs = ["base"]
run = "touch started; until [ -e written ]; do sleep 0.02; done; sleep 0.3"
[tickets.split]
generates = "parts"
run = '''
until {"[ -e started ]" if gate.startswith("ls") else "true"}; do sleep 0.02; done
printf '[tickets.a]\\nrun = "touch made"\\ngroup = "g"\\n' > "$PAREXEC_TICKETS"
touch written
'''
"""
    code, state = run(tmp_path, plan)
    assert (code, state.tickets["split"].reason) == (0, "")
    assert "made" in (tmp_path / "seen").read_text().split()
    assert {str(ticket.status) for ticket in state.tickets.values()} == {"succeeded"}
