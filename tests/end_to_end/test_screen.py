"""The screen in a terminal, on an engine, from the first key to the last; and whatever may happen to either."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.tui.dialogs.dialog import MIN_PAUSE
from tests.end_to_end.tmux import Terminal
from tests.engine.engines import happened, session, sessions, state_of, ticket, until, write_plan
from tests.engine.lifecycle.detached import all_gone, kill, stop_everything, the_engine, the_guardian

PLAN = """
[plan]
name = "On the screen"
parallel = 3
[agents.hand]
min = 2
max = 4
[tickets.quick]
run = "echo quick is done"
[tickets.fails]
run = "echo it went wrong; exit 7"
[tickets.long]
title = "Goes on until it is told"
run = "until [ -e go ]; do sleep 0.05; done"
[tickets.other]
run = "until [ -e go ]; do sleep 0.05; done"
[tickets.last]
needs = ["long", "other"]
run = "echo last"
"""
IDS = ("quick", "fails", "long", "other", "last")


@pytest.fixture(autouse=True)
def nothing_is_left(own_state_home: Path) -> Iterator[None]:
    yield
    for name in sessions():
        stop_everything(name)


@pytest.fixture
def terminals(tmp_path: Path, own_state_home: Path) -> Iterator[Callable[..., Terminal]]:
    """Makes terminals in the folder of the plan, and takes them away in the end."""
    write_plan(tmp_path, PLAN)
    made: list[Terminal] = []

    def make(*size: int, **environment: str) -> Terminal:
        width, height = size or (120, 40)
        made.append(Terminal(tmp_path, (width, height), XDG_STATE_HOME=str(own_state_home), **environment))
        return made[-1]

    yield make
    for terminal in made:
        terminal.close()


@pytest.fixture
def terminal(terminals: Callable[..., Terminal]) -> Terminal:
    return terminals()


def start(terminal: Terminal) -> None:
    """Run the plan, as far as it comes by itself."""
    terminal.run("./parexec run plan.toml")
    terminal.until("40% 2/5")
    terminal.until("2 running")
    terminal.until("connected")


def in_plan_order(terminal: Terminal) -> None:
    """Have the rows in the order of the plan, where they stay."""
    terminal.press("t")
    terminal.until("in plan order")


def shows(terminal: Terminal, pattern: str) -> None:
    """Wait until a line of the screen is like this."""
    terminal.until(lambda: re.search(pattern, terminal.text()), f"a line is like {pattern}")


def stands(terminal: Terminal, contact: str) -> None:
    """Wait until the header says that of the engine; panels that are drawn more seldom may say so sooner or later."""
    terminal.until(lambda: terminal.text().splitlines()[1].split()[-1] == contact, f"the header says {contact}")


def left(terminal: Terminal) -> None:
    answer(terminal, "q", lambda: terminal.is_given_back, "the terminal is the shell's again")


def answer(terminal: Terminal, key: str, condition: Callable[[], object], what: str) -> None:
    """Press a key until something is so: the summary, which comes by itself, takes none that comes too soon."""
    for _ in range(20):
        terminal.press(key)
        with suppress(AssertionError):
            until(condition, what, within=2 * MIN_PAUSE)
            return
    terminal.until(condition, what)


# -- from beginning to end -------------------------------------------------------------------------------------


def test_a_plan_is_run_from_a_bare_terminal_and_seen_to_its_end(tmp_path: Path, terminal: Terminal) -> None:
    start(terminal)
    shows(terminal, "✗ failed +fails")
    shows(terminal, "▸ 1 succeeded")
    in_plan_order(terminal)
    shows(terminal, "✓ succeeded +quick")
    (tmp_path / "go").touch()
    terminal.until("done 5/5")
    terminal.until("finished")
    assert terminal.fact("alternate_on") == "1", "what there is to see stays on the screen"
    left(terminal)
    terminal.until("4 of 5 succeeded, 1 failed")
    terminal.until("✗ fails  failed: exit 7")
    terminal.run("echo code $?")
    terminal.until("code 1")


def test_without_a_terminal_it_is_told_line_by_line(tmp_path: Path, terminal: Terminal) -> None:
    (tmp_path / "go").touch()
    terminal.run("./parexec run plan.toml | cat")
    terminal.until("4 of 5 succeeded, 1 failed")
    assert terminal.fact("alternate_on") == "0"
    shows(terminal, "✓ succeeded +last")


# -- steering --------------------------------------------------------------------------------------------------


def test_every_verb_is_a_key(terminal: Terminal) -> None:
    start(terminal)
    in_plan_order(terminal)
    for id_, keys, what, is_so in STEPS:
        select(terminal, id_)
        terminal.press(*keys)
        terminal.until(partial(_holds, is_so), f"{' '.join(keys)} on {id_}: {what}")


def select(terminal: Terminal, id_: str) -> None:
    terminal.press("g", *"j" * IDS.index(id_))
    shows(terminal, f"▌ .* {id_} ")


def _holds(is_so: Callable[[SessionState], object]) -> object:
    return is_so(state_of())


def _has_failed(now: SessionState, times: int) -> bool:
    """Whether the ticket has: while it still runs, no key may run it again."""
    ticket = now.tickets["fails"]
    return ticket.attempts == times and ticket.status is Status.failed


STEPS: tuple[tuple[str, tuple[str, ...], str, Callable[[SessionState], object]], ...] = (
    ("last", ("p",), "it is held", lambda now: now.tickets["last"].held),
    ("last", ("p",), "it is released", lambda now: not now.tickets["last"].held),
    ("long", ("f",), "it is frozen", lambda now: now.tickets["long"].is_frozen),
    ("long", ("f",), "it goes on", lambda now: now.tickets["long"].status is Status.running),
    ("fails", ("r",), "it is tried again", lambda now: _has_failed(now, 2)),
    ("fails", ("R", "Enter"), "it is tried again by the form", lambda now: _has_failed(now, 3)),
    ("last", ("a", "Enter"), "it has its agent", lambda now: now.tickets["last"].pin == "hand-3"),
    ("last", ("e", "A", "Enter"), "it has another title", lambda now: now.tickets["last"].spec.title == "A"),
    ("last", ("<",), "it is urgent", lambda now: now.tickets["last"].spec.priority is Priority.high),
    ("last", ("u",), "it is not", lambda now: now.tickets["last"].spec.priority is Priority.medium),
    ("last", (">",), "it can wait", lambda now: now.tickets["last"].spec.priority is Priority.low),
    ("last", ("+",), "one more at once", lambda now: now.parallel == 4),
    ("last", ("-",), "one fewer", lambda now: now.parallel == 3),
    ("last", ("P",), "all is held", lambda now: now.held),
    ("last", ("P",), "all is released", lambda now: not now.held),
    ("last", ("D", "y"), "it drains", lambda now: now.draining),
    ("last", ("D",), "it does not", lambda now: not now.draining),
    ("last", ("F",), "all is frozen", lambda now: len(now.frozen) == 2),
    ("last", ("F",), "all goes on", lambda now: now.counts[Status.running] == 2),
    ("fails", ("o",), "it is done without", lambda now: now.tickets["fails"].status is Status.waived),
    ("long", ("x", "y"), "it is stopped", lambda now: now.tickets["long"].status is Status.cancelled),
    ("long", ("r",), "it runs once more", lambda now: now.tickets["long"].status is Status.running),
    ("long", ("X", "y"), "it is killed", lambda now: now.tickets["long"].signal == signal.SIGKILL),
    ("last", ("Q", "y"), "all is stopped", lambda now: now.left),
)
"""On which ticket, which keys, and what comes of them."""


def test_two_viewers_steer_at_once_and_both_show_the_same(terminals: Callable[..., Terminal]) -> None:
    one, other = terminals(), terminals()
    start(one)
    other.run("./parexec attach")
    other.until("connected")
    in_plan_order(one)
    in_plan_order(other)
    select(one, "long")
    select(other, "other")
    one.press("f")
    other.press("f")
    for terminal in (one, other):
        shows(terminal, "frozen +long")
        shows(terminal, "frozen +other")
    one.press("P")
    other.until("HELD")
    other.press("P")
    one.until(lambda: "HELD" not in one.text(), "the first viewer shows what the second released")


def test_what_failed_is_run_again_when_all_is_over(tmp_path: Path, terminal: Terminal) -> None:
    write_plan(tmp_path, '[tickets.a]\nrun = "test -e mended"\n[tickets.b]\nneeds = ["a"]\nrun = "true"\n')
    terminal.run("./parexec run plan.toml")
    terminal.until("r retry 1 failed")
    until(all_gone, "no engine runs")
    (tmp_path / "mended").touch()
    answer(terminal, "r", lambda: "2 succeeded" in terminal.text(), "both have succeeded")
    assert [event.end for event in happened(ev.AttemptEnded)] == [End.failed, End.succeeded, End.succeeded]


def test_a_session_that_was_stopped_goes_on_by_a_key(tmp_path: Path, terminal: Terminal) -> None:
    start(terminal)
    terminal.press("Q", "y")
    terminal.until("ctrl+r starts an engine")
    until(all_gone, "no engine runs")
    (tmp_path / "go").touch()
    terminal.press("C-r")
    terminal.until("done 5/5")
    assert state_of().finished_at


# -- the terminal ----------------------------------------------------------------------------------------------


def test_any_size_while_it_runs(terminal: Terminal) -> None:
    start(terminal)
    terminal.resize(200, 50)
    terminal.until("2 Graph ──")
    terminal.until("7 Timeline")
    terminal.resize(80, 24)
    terminal.until(lambda: len(terminal.line("1 Tickets").rstrip()) == 80, "the panel takes all the width")
    terminal.resize(1, 1)
    terminal.until(lambda: terminal.fact("pane_width") == "1", "there is hardly a terminal")
    terminal.resize(120, 40)
    terminal.until("2 running")
    shows(terminal, "running +long")
    left(terminal)


def test_to_the_shell_and_back(terminal: Terminal) -> None:
    start(terminal)
    terminal.press("C-z")
    terminal.until(lambda: terminal.is_given_back, "the shell has the terminal")
    terminal.run("stty -a")
    terminal.until(lambda: re.search(r"(?<!-)icanon", terminal.text()), "it takes lines")
    terminal.run("fg")
    terminal.until("2 running")
    assert terminal.fact("alternate_on") == "1"
    in_plan_order(terminal)
    terminal.press("G")
    shows(terminal, "▌ .* last")


def test_who_stops_it_has_the_terminal_and_gives_it_back(terminal: Terminal) -> None:
    start(terminal)
    command, app = terminal.programs()
    for number in (signal.SIGSTOP, signal.SIGTSTP):
        os.kill(app.pid, number)
        terminal.until(lambda: terminal.is_given_back, "the shell has the terminal")
        is_sane(terminal)
        terminal.run("clear; echo a shell; fg")
        shows(terminal, "running +long")
        terminal.until(lambda: terminal.fact("alternate_on") == "1", "the app has it")
        assert "a shell" not in terminal.text()
    in_plan_order(terminal)
    select(terminal, "last")
    left(terminal)
    shows(terminal, "^a shell")
    terminal.until(lambda: not command.is_running(), "it is over")
    is_sane(terminal)


def is_sane(terminal: Terminal) -> None:
    terminal.run("clear; stty -a")
    terminal.until(lambda: re.search(r"(?<!-)icanon(.|\n)*(?<!-)echo ", terminal.text()), "the line is sane")


def test_a_picture_that_the_shell_wrote_into_is_drawn_again(tmp_path: Path, terminal: Terminal) -> None:
    (tmp_path / "nap").write_text("#!/bin/sh\nuntil [ -e morning ]; do sleep 0.05; done\n")
    (tmp_path / "nap").chmod(0o755)
    start(terminal)
    command, app = terminal.programs()
    for process in (command, app):  # first the one that would give the terminal back
        process.suspend()
    terminal.until("$")
    terminal.press(*"./nap", "C-j")
    terminal.until(lambda: len(terminal.programs()) > 2, "nobody reads the terminal")
    terminal.press("Space")
    before = app.num_ctx_switches()
    app.resume()  # it is about to read what the shell will have read by the time it may
    until(lambda: app.num_ctx_switches() != before and app.status() == psutil.STATUS_STOPPED, "it may not read")
    (tmp_path / "morning").touch()
    terminal.until(lambda: len(terminal.programs()) == 2, "the shell reads the terminal")
    terminal.press(*"fg", "C-j")
    terminal.until(lambda: "$" not in terminal.text(), "the prompt of the shell is gone")
    in_plan_order(terminal)
    select(terminal, "last")
    left(terminal)
    is_sane(terminal)


def test_the_size_is_the_terminals_whatever_the_environment_says(terminals: Callable[..., Terminal]) -> None:
    terminal = terminals(80, 24)
    terminal.run("export COLUMNS=60 LINES=15")
    start(terminal)
    for width, height in ((80, 24), (100, 30)):
        terminal.resize(width, height)
        terminal.until(lambda: len(terminal.line("1 Tickets").rstrip()) == width, "all the width is used")  # noqa: B023
        terminal.until(lambda: "q leave" in terminal.text().splitlines()[height - 1], "the footer is at the foot")  # noqa: B023


@pytest.mark.parametrize(
    ("environment", "signs"),
    [({"NO_COLOR": "1"}, "▶ running"), ({"LC_ALL": "C", "TERM": "linux"}, "> running")],
    ids=["NO_COLOR", "C and linux"],
)
def test_it_reads_well_without_colours_and_without_signs(
    terminals: Callable[..., Terminal], environment: dict[str, str], signs: str
) -> None:
    terminal = terminals(80, 24, **environment)
    start(terminal)
    terminal.until(lambda: terminal.text().count(signs) == 2, "two rows say that they run")
    if "NO_COLOR" in environment:
        assert not re.search(r"\x1b\[([0-9;]*;)?[34][0-8][;m]", terminal.colours())
    else:
        assert terminal.text().isascii()


# -- leaving, and worse ----------------------------------------------------------------------------------------


def test_who_leaves_is_told_how_to_come_back_and_does(terminal: Terminal) -> None:
    start(terminal)
    left(terminal)
    terminal.until(f"the engine goes on; come back: parexec attach {session()}")
    assert "2 running" in terminal.text(), "the last state is there to be read"
    assert the_engine()
    terminal.run("clear; ./parexec attach")
    terminal.until("connected")
    shows(terminal, "running +long")


def test_a_killed_viewer_gives_the_terminal_back_and_can_come_back(terminal: Terminal) -> None:
    start(terminal)
    engine = the_engine()
    _, app = terminal.programs()
    before = terminal.fact("mouse_any_flag")
    terminal.press("M")
    terminal.until(lambda: terminal.fact("mouse_any_flag") == "1", "the mouse is the app's")
    app.kill()
    terminal.until("ended by signal 9; the engine goes on")
    assert (before, terminal.is_given_back) == ("0", True)
    terminal.run("clear; stty -a")
    terminal.until(lambda: re.search(r"(?<!-)icanon(.|\n)*(?<!-)echo ", terminal.text()), "the line is sane")
    assert the_engine() == engine
    terminal.run("clear; ./parexec attach")
    terminal.until("connected")


def test_where_there_is_one_screen_only_nothing_is_written_into_the_picture(terminal: Terminal) -> None:
    terminal.have_one_screen_only()
    start(terminal)
    terminal.press("C-z")
    terminal.until(lambda: terminal.text().strip().endswith("$"), "the shell has the terminal")
    assert "1 Tickets" not in terminal.text()
    terminal.run("clear; fg")
    shows(terminal, "running +long")
    _, app = terminal.programs()
    app.kill()
    shows(terminal, r"(?m)^parexec: .*ended by signal 9; the engine goes on\n\$\s*\Z")
    assert "q leave" not in terminal.text()
    terminal.run("clear; ./parexec attach")
    shows(terminal, "running +long")
    terminal.press("q")
    terminal.until("the engine goes on; come back")
    assert terminal.text().startswith("exec_"), "the picture is gone"


def test_an_engine_that_is_killed_is_waited_for(terminal: Terminal) -> None:
    start(terminal)
    engine, guardian = the_engine(), the_guardian()
    os.kill(guardian, signal.SIGSTOP)  # so that nobody is faster than the eye
    try:
        kill(engine)
        stands(terminal, "reconnecting")
    finally:
        os.kill(guardian, signal.SIGCONT)
    stands(terminal, "connected")
    assert the_engine(besides=engine)
    assert len(until(lambda: happened(ev.MonitoringStarted)[1:], "there is a new engine")) == 1
    in_plan_order(terminal)
    select(terminal, "long")
    terminal.press("f")
    terminal.until(lambda: ticket("long").is_frozen, "keys reach the new engine")
