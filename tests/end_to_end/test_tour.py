"""The tour, from a bare terminal: somebody who knows nothing presses what the screen says, to the end."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from parexec_tui.core.state.status import Status
from tests.end_to_end.tmux import Terminal
from tests.engine.engines import sessions, state_of
from tests.engine.lifecycle.detached import stop_everything

_NAMES = {"esc": "Escape", "ctrl+n": "C-n"}


@pytest.fixture
def terminal(tmp_path: Path, own_state_home: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path, (80, 24), XDG_STATE_HOME=str(own_state_home))
    yield made
    made.close()
    for name in sessions():
        stop_everything(name)


def step(terminal: Terminal) -> tuple[int, str]:
    """The number of the step, and what it says to do; 0 if it is being drawn."""
    found = re.search(r"─ Tour (\d+) of 20 .*\n ▶ (.*)", terminal.text())
    return (int(found[1]), found[2].strip()) if found else (0, "")


def is_past(terminal: Terminal, at: int) -> bool:
    return step(terminal)[0] > at


def row_of(terminal: Terminal, pattern: str) -> int:
    """The first line of the screen that is like this; -1 if none is."""
    return next((at for at, line in enumerate(terminal.text().splitlines()) if re.match(pattern, line)), -1)


def go_to(terminal: Terminal, pattern: str) -> None:
    """As a person does: look where it is, press a key, look where the cursor is."""
    while (distance := row_of(terminal, pattern) - (at := row_of(terminal, "▌"))) != 0:
        terminal.press("j" if distance > 0 else "k")
        terminal.until(partial(has_moved, terminal, at), "the cursor moves")


def has_moved(terminal: Terminal, before: int) -> bool:
    return row_of(terminal, "▌") != before


def do(terminal: Terminal, says: str) -> None:
    """Press what the step says."""
    if goal := re.search(r"go to ([\w -]+)(?=:|,)", says):
        go_to(terminal, "...▶ running" if goal[1] == "one that runs" else rf"...\S \w[\w ]*?  +{goal[1]} ")
    if key := re.search(r"press ([^ ]+?)(?=: | to )", says):
        terminal.press(_NAMES.get(key[1], key[1]))


@pytest.mark.timeout(240)
def test_whoever_presses_what_it_says_comes_to_the_end(terminal: Terminal) -> None:
    terminal.run("./parexec tour")
    terminal.until("Tour 1 of 20")
    at, says = step(terminal)
    seen = {at}
    while at < 20:
        if "has failed again" in says:
            terminal.until(lambda: re.search(r"failed +browser-tests", terminal.text()), "it has failed again")
        do(terminal, says)
        terminal.until(partial(is_past, terminal, at), f"what follows {says!r}")
        at, says = step(terminal)
        seen.add(at)
    assert len(seen) >= 18, f"hardly a step was passed over, as a slow person passes them over: {sorted(seen)}"
    session = sessions()[0]
    assert state_of(session).tickets["browser-tests"].status is Status.waived
    do(terminal, says)
    terminal.until("on with the tour: parexec tour")
    terminal.run("./parexec tour; echo code $?")
    terminal.until("Tour 20 of 20")
    terminal.press("q")
    terminal.until("code 0")
    assert sessions() == [session], "it went on with the one that there is"


def test_without_a_terminal_it_says_what_to_do_instead(terminal: Terminal) -> None:
    terminal.run("./parexec tour | cat")
    terminal.until("the tour needs a terminal")
    assert not sessions()
