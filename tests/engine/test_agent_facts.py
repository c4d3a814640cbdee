"""What a coding agent is said to do, by the facts that it tells."""

from pathlib import Path

import pytest

from parexec_tui.agents.facts import encode, fact
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Doing
from parexec_tui.engine.agent_facts import Followed, doing_with
from parexec_tui.engine.backends.local.record import report_of
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.paths import SessionFolder
from tests.core.coding import coding_session


def test_who_has_said_its_last_word_ends() -> None:
    doing = Doing()
    for at, one in enumerate((fact("tool", does="run", arg="ls"), fact("usage", cost=0.5), fact("last_word"))):
        doing = doing_with(doing, {**one, "at": float(at)})
    assert (doing.what, doing.since, doing.cost) == ("ends", 2.0, 0.5)


@pytest.mark.parametrize(
    ("ended", "record", "code", "told"),
    [
        (Exit(7, signal=9), "start 7\n", None, "signal 9"),
        (Exit(7, 80), "start 7\nexit 80\n", 80, "SIGTERM"),
    ],
)
def test_an_agent_that_nobody_asked_to_stop_was_ended_from_outside(
    tmp_path: Path, ended: Exit, record: str, code: int | None, told: str
) -> None:
    """By a signal to its shell, after which the engine ends its minder as a stray; or by one to its minder."""
    session = coding_session("A: retries=1")
    session.dispatch()
    session.spawned("A")
    folder, key = SessionFolder(tmp_path), ProcessKey("A", 1)
    folder.create()
    folder.record(key).write_text(record)
    end = fact("end", end="interrupted", why="stopped by SIGTERM", session="c1", least=True)
    Path(folder.of_agent(key).facts).write_text(f"{encode(end)}\n")
    report = report_of(key, ended, folder)
    assert isinstance(report, rq.ProcessEnded)
    assert report.code == code
    session.tell(report)
    ticket = session.state.tickets["A"]
    assert (ticket.status, ticket.end, ticket.reason) == (Status.backoff, End.lost, f"ended from outside by {told}")


def test_what_an_agent_does_ends_with_a_sign_if_it_is_longer() -> None:
    doing = doing_with(Doing(), {**fact("tool", does="run", arg="x" * 199 + "; rm -rf /"), "at": 1.0})
    assert doing.what == f"$ {'x' * 199}…"
    assert doing_with(Doing(), {**fact("tool", does="run", arg="x" * 200), "at": 1.0}).what == f"$ {'x' * 200}"


def test_who_asks_several_things_is_said_to_ask_what_is_to_be_answered(tmp_path: Path) -> None:
    file = tmp_path / "facts"
    asks = [fact("ask", id=id_, what=f"Bash: echo {id_}") for id_ in ("A", "B")]
    file.write_text("".join(f"{encode({**each, 'at': 1.0})}\n" for each in asks))
    followed = Followed(ProcessKey("T", 1), str(file))
    assert followed.read()
    assert (followed.said.asks, followed.doing.what) == ("Bash: echo A", "asks: Bash: echo A")
