"""What is required for a ticket is looked for again right before it: without it, nothing of the ticket is run."""

from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import happened, log_of, resume, run, ticket


def test_what_another_ticket_took_away_is_missed_before_the_ticket_and_no_agent_is_charged(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1")
    code, state = run(
        tmp_path,
        """
        [plan]
        parallel = 1
        [tickets.taker]
        run = "rm in"
        [tickets.b]
        needs = ["taker"]
        requires_files = ["in"]
        retries = 3
        run = "echo ran"
        [tickets.c]
        needs = ["taker"]
        requires_commands = ["sh", "python3 >= 3.1"]
        run = "echo ran"
        """,
    )
    b = ticket("b")
    assert b.attempt is not None
    assert (code, b.status, b.end, b.attempt.reason) == (
        1,
        Status.failed,
        End.could_not_start,
        "required file in does not exist",
    )
    (ended,) = happened(ev.AttemptEnded, ticket="b")
    assert ended.ticket_at_fault
    assert b.attempts == 1  # another try would find the same
    assert not any(agent.strikes or agent.quarantined for agent in state.agents.values())
    assert (log_of("b.1"), log_of("c.1")) == ("", "ran\n")

    (tmp_path / "in").write_text("2")
    result, _ = resume(retry_failed=True)
    assert (result.outcome, ticket("b").status, log_of("b.2")) == ("finished", Status.succeeded, "ran\n")


@pytest.mark.parametrize("table", ["agents.a", "tickets.t"])
def test_program_and_variables_are_those_of_the_ticket(tmp_path: Path, table: str) -> None:
    gen = tmp_path / "gen"
    gen.write_text('#!/bin/sh\necho "gen $GEN_VERSION"\n')
    gen.chmod(0o755)
    code, _ = run(
        tmp_path,
        f"""
        [agents.a]
        env = {{ PATH = "{tmp_path}:/usr/bin:/bin", GEN_VERSION = "2.1" }}
        [tickets.t]
        env = {{ LANG = "C" }}
        run = "gen"
        """.replace(f"[{table}]", f'[{table}]\nrequires_commands = ["gen >= 2"]\nrequires_env = ["GEN_VERSION"]'),
    )
    assert (code, log_of("t.1")) == (0, "gen 2.1\n")
