"""Secrets: given to those that name them, masked in all that is printed, and kept nowhere."""

import json
import sys
from pathlib import Path

import pytest

from parexec_tui.core.rules.attention import needs
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.status import Status
from parexec_tui.paths import session_folder, state_home
from tests.engine.engines import happened, log_of, resume, run, session, start, state_of, ticket

SECRET = "hunter2-Zx9"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", SECRET)


def nowhere(value: str = SECRET) -> None:
    """Nothing of the state folder has the value: no registry, no journal, no log."""
    for file in state_home().rglob("*"):
        if file.is_file():
            assert value.encode() not in file.read_bytes(), file


def test_who_names_a_secret_has_it_and_nobody_is_shown_it(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("ssap-yb-dias\n")
    (tmp_path / "key").write_text("from-a-file\n")
    (tmp_path / ".env").write_text("DOT='from a dotenv'\n")
    code, _ = run(
        tmp_path,
        """
        [secrets]
        FILE = { file = "key" }
        DOT = { env_file = ".env" }
        SAID = { command = "rev words; echo no >&2" }
        OTHER = { env = "API_KEY" }
        [hooks]
        on_ticket_end = "cat >>hook.$PAREXEC_TICKET; env >>hook.$PAREXEC_TICKET"
        [services.s]
        secrets = ["API_KEY"]
        run = "echo up with $API_KEY; exec sleep 60"
        ready = "log:up with"
        [tickets.t]
        secrets = ["API_KEY", "FILE", "DOT", "SAID", "OTHER"]
        uses_service = ["s"]
        gates = [{ run = 'echo "gate $API_KEY"; test $API_KEY = "$(cat out)"' }]
        run = '''
        echo $API_KEY >out
        printf hunt; sleep 0.1; printf er2-; sleep 0.1; echo Zx9 >&2
        echo "$FILE, $DOT, $SAID, $OTHER"
        printf %s "$API_KEY" | base64
        '''
        [tickets.other]
        run = 'echo "<$API_KEY>"'
        """,
    )
    head = "parexec: masked in this output: API_KEY, FILE, DOT, SAID, OTHER\n"
    assert (code, log_of("t.1")) == (0, head + "***\n***, ***, ***, ***\n***\n")
    assert log_of("other.1") == "<>\n"  # what it was not given it does not inherit either
    assert log_of("t.1.gate-1") == "parexec: masked in this output: API_KEY, FILE, DOT, SAID, OTHER\ngate ***\n"
    assert (tmp_path / "out").read_text() == f"{SECRET}\n"
    assert SECRET not in (tmp_path / "hook.t").read_text()
    nowhere()
    nowhere("from-a-file")
    nowhere("said-by-pass")


def test_a_secret_that_is_not_known_keeps_its_tickets_and_fails_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(
        tmp_path,
        """
        [tickets.first]
        run = "kill -9 $PPID"
        [tickets.t]
        needs = ["first"]
        secrets = ["API_KEY"]
        run = "echo $API_KEY"
        [tickets.free]
        run = "true"
        """,
    )
    monkeypatch.delenv("API_KEY")
    resume(retry_failed=True)
    state = state_of(session())
    assert (state.tickets["t"].status, state.tickets["free"].status) == (Status.waiting, Status.succeeded)
    (reason,) = [blocker.text for blocker in why(state, state.tickets["t"]) if blocker.kind == "secret"]
    assert reason == (
        "secret API_KEY is not known: variable API_KEY is not set; "
        "set it where parexec is started, or resume with it set"
    )
    monkeypatch.setenv("API_KEY", SECRET)
    resume(retry_failed=True)
    assert log_of("t.1").endswith("***\n")
    nowhere()


def test_a_gate_without_its_secret_says_so_and_hangs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start(
        tmp_path,
        """
        [services.s]
        run = "echo $PAREXEC_TICKET >>ups; exec sleep 60"
        [tickets.t]
        secrets = ["API_KEY"]
        uses_service = ["s"]
        run = "touch began; until test -e go; do sleep 0.05; done"
        gates = ["echo gate $API_KEY", "test $(wc -l <ups) = 1"]
        [tickets.next]
        needs = ["t"]
        run = "true"
        """,
    )
    engine.until((tmp_path / "began").exists, "it runs")
    engine.kill()
    (tmp_path / "go").touch()
    monkeypatch.delenv("API_KEY")
    result, _ = resume()
    state = state_of()
    assert result.outcome == "blocked"
    assert ticket("t").status is Status.validating
    (awaited,) = happened(ev.SecretAwaited, ticket="t")
    (root,) = [each.root for each in roots(state) if each.root.kind == "secret"]
    assert (root.ticket, root.reason) == ("t", awaited.text)
    assert awaited.text in [need.reason for need in needs(state)]
    monkeypatch.setenv("API_KEY", SECRET)
    result, _ = resume()
    assert (result.outcome, ticket("next").status) == ("finished", Status.succeeded)
    assert log_of("t.1.gate-1-2").endswith("gate ***\n")
    nowhere()


def test_no_secret_becomes_a_value_or_the_name_of_a_stray(tmp_path: Path) -> None:
    code, _ = run(
        tmp_path,
        """
        [tickets.t]
        secrets = ["API_KEY"]
        run = 'echo "key=$API_KEY" >"$PAREXEC_VALUES"'
        [tickets.s]
        secrets = ["API_KEY"]
        run = '(exec -a "$API_KEY" sleep 60) & sh -c "sleep 60; : $API_KEY" & sleep 0.1'
        """,
    )
    attempt = ticket("t").attempt
    assert attempt is not None
    assert code == 1
    assert "there is a secret in them" in attempt.reason
    (strays,) = happened(ev.StraysEnded, ticket="s")
    assert any("***" in command for command in strays.commands)
    nowhere()


def test_a_secret_in_generated_tickets_fails_the_ticket_that_wrote_them(tmp_path: Path) -> None:
    code, _ = run(
        tmp_path,
        """
        [tickets.gen]
        secrets = ["API_KEY"]
        generates = "parts"
        run = 'printf "[tickets.q]\\nrun = \\"echo %s\\"\\n" $API_KEY >$PAREXEC_TICKETS'
        [tickets.end]
        needs = ["parts?"]
        run = "true"
        """,
    )
    attempt = ticket("gen").attempt
    assert attempt is not None
    assert (code, ticket("end").status) == (1, Status.succeeded)
    assert attempt.reason.startswith("its tickets: a secret stood in them")
    nowhere()


def test_what_a_coding_agent_says_and_does_is_masked_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = 'hun"ter2-Zx9'
    monkeypatch.setenv("API_KEY", value)
    cli = tmp_path / "claude.py"
    cli.write_text(CLI.format(python=sys.executable))
    cli.chmod(0o755)
    wrapper = tmp_path / "wrapper.py"
    wrapper.write_text(WRAPPER.format(python=sys.executable))
    wrapper.chmod(0o755)
    code, _ = run(
        tmp_path,
        f"""
        [agents.claude]
        kind = "claude"
        program = "{cli}"
        secrets = ["API_KEY"]
        on_silence = "warn"
        [agents.own]
        command = ["{wrapper}", "{{prompt}}"]
        speaks = "facts"
        secrets = ["API_KEY"]
        [tickets.t]
        agent = "claude"
        prompt = "go"
        on_denied = "fail"
        [tickets.u]
        agent = "own"
        prompt = "go"
        """,
    )
    assert code == 1
    assert log_of("t.1").count("***") == 5
    assert log_of("u.1").count("***") == 1
    files = session_folder(session()).of_agent(ProcessKey("t", 1))
    assert "***" in Path(files.stream).read_text()
    assert "it printed ***" in Path(files.errors).read_text()
    assert [event.reason for event in happened(ev.AttemptEnded, ticket="t")] == ["denied: echo ***"]
    nowhere(value)
    nowhere(json.dumps(value)[1:-1])
    nowhere(json.dumps(json.dumps(value)[1:-1])[1:-1])
    nowhere("hun")


CLI = """#!{python}
import json, os, sys, time
value = os.environ["API_KEY"]
def event(**fields):
    text = json.dumps(fields) + "\\n"
    for at in range(0, len(text), 97):  # in pieces
        sys.stdout.write(text[at : at + 97])
        sys.stdout.flush()
def says(*content):
    event(type="assistant", message=dict(id="m1", content=content))
event(type="system", subtype="init", session_id="s1", model="m")
says(dict(type="text", text="it is " + value))
says(dict(type="text", text="x" * 3995 + value))
says(dict(type="tool_use", id="t1", name="Bash", input=dict(command="echo " + value)))
event(type="user", message=dict(content=[dict(type="tool_result", tool_use_id="t1", content=json.dumps([value]))]))
print("it printed", value, file=sys.stderr)
print("y" * 1996 + value)
event(type="result", subtype="success", is_error=False, result="done",
      permission_denials=[dict(tool_name="echo " + value, tool_input=dict())])
"""

WRAPPER = """#!{python}
import json, os
with open(os.environ["PAREXEC_FACTS"], "a") as file:
    for one in dict(fact="text", text=os.environ["API_KEY"]), dict(fact="end", end="succeeded"):
        print(json.dumps(one), file=file)
"""
