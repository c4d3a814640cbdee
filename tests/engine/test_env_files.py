"""Variables out of files: read when an attempt starts, and kept nowhere."""

from pathlib import Path

import pytest

from parexec_tui.core.state.status import End, Status
from parexec_tui.engine.env_files import EnvFileError, read_env_files
from parexec_tui.paths import state_home
from tests.engine.engines import log_of, resume, run, ticket


def test_files_are_read_at_each_start_and_env_goes_before(tmp_path: Path) -> None:
    (tmp_path / "agent.env").write_text("A=agent\nB=agent\nC=agent\nD=agent\n")
    (tmp_path / ".env").write_text("export B='of the ticket'\nC=ticket # why\nPAREXEC_TICKET=no\nkept-nowhere=Xa9\n")
    code, _ = run(
        tmp_path,
        """
        [agents.a]
        env_file = ["agent.env"]
        env = { D = "env" }
        [services.s]
        env_file = [".env"]
        run = "echo $B; exec sleep 60"
        ready = "log:of the ticket"
        [tickets.t]
        env_file = [".env", "none.env?"]
        env = { C = "env" }
        uses_service = ["s"]
        run = 'echo "$A,$B,$C,$D,$PAREXEC_TICKET"; echo E=second >.env'
        [tickets.u]
        needs = ["t"]
        env_file = [".env"]
        skip_if = 'echo "$E" >asked; exit 1'
        gates = [{ run = "test $E = second" }]
        run = "echo $E"
        """,
    )
    assert (code, log_of("t.1"), log_of("u.1")) == (0, "agent,of the ticket,env,env,t\n", "second\n")
    assert (tmp_path / "asked").read_text() == "second\n"
    kept = [file for file in state_home().rglob("*") if file.is_file() and b"Xa9" in file.read_bytes()]
    assert kept == []


def test_a_missing_file_fails_the_ticket_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=taken away")
    code, _ = run(
        tmp_path,
        """
        [tickets.taker]
        run = "rm .env"
        [tickets.t]
        needs = ["taker"]
        env_file = [".env"]
        retries = 3
        run = "echo $A"
        """,
    )
    attempt = ticket("t").attempt
    assert attempt is not None
    assert (code, ticket("t").end, ticket("t").attempts) == (1, End.could_not_start, 1)
    assert attempt.reason == f"env_file {tmp_path}/.env does not exist"
    (tmp_path / ".env").write_text("A=there")
    resume(retry_failed=True)
    assert (ticket("t").status, log_of("t.2")) == (Status.succeeded, "there\n")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"A=1\nno variable here\n", "line 2: write NAME=VALUE"),
        (b"A=\xff", "is not UTF-8 (byte 2)"),
        (b"A=secret\0x", "line 1: a NUL character"),
        (b"A=" + b"x" * (1 << 20), "has more than 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, data: bytes, problem: str) -> None:
    (file := tmp_path / ".env").write_bytes(data)
    with pytest.raises(EnvFileError) as error:
        read_env_files([str(file)])
    assert str(error.value).startswith(f"env_file {file}")
    assert problem in str(error.value)
    assert "secret" not in str(error.value)


def test_values_may_be_quoted_have_lines_and_are_not_filled_in(tmp_path: Path) -> None:
    (file := tmp_path / ".env").write_text('\ufeffA="x\ny"\nB=$HOME\nC\nD=\n', encoding="utf-8")
    assert read_env_files([str(file), f"{tmp_path}/none?"]) == {"A": "x\ny", "B": "$HOME", "D": ""}
