"""Secrets: given to those that name them, masked in all that is printed, and kept nowhere."""

from pathlib import Path

import pytest

from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from parexec_tui.paths import state_home
from tests.engine.engines import happened, log_of, resume, run, session, state_of, ticket

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
