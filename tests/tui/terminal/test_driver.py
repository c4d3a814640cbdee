"""The driver writes as much as the terminal takes, waits for nobody, and loses nothing."""

import asyncio
import os
import pty
import sys
import threading
import tty
from collections.abc import Iterator

import pytest
from textual.app import App

from parexec_tui.tui.terminal import driver as driver_room
from parexec_tui.tui.terminal.driver import TerminalDriver

FLOOD = "one line of many, ünd not in ASCII alone\n" * 20_000


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The far end of a terminal that is our stdin and stderr."""
    far, near = pty.openpty()
    tty.setraw(near)
    with os.fdopen(near, "w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "__stdin__", file)
        monkeypatch.setattr(sys, "__stderr__", file)
        yield far
    os.close(far)


@pytest.mark.asyncio
async def test_what_a_terminal_does_not_take_at_once_is_sent_when_it_does(terminal: int) -> None:
    driver = TerminalDriver(App())
    driver.write(FLOOD)
    assert driver.is_busy
    driver.write("the end")
    taken = b""

    def read() -> None:
        nonlocal taken
        while not taken.endswith(b"the end"):
            taken += os.read(terminal, 65536)

    await asyncio.to_thread(read)
    assert taken.decode() == FLOOD + "the end"
    assert driver._unsent == b""


@pytest.mark.asyncio
async def test_the_terminal_of_others_goes_on_to_block(terminal: int) -> None:
    driver = TerminalDriver(App())
    driver.write("words")
    assert sys.__stderr__ is not None
    assert os.get_blocking(sys.__stderr__.fileno())


@pytest.mark.asyncio
async def test_the_last_words_are_waited_for_but_not_for_ever(terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = TerminalDriver(App())
    driver.write(FLOOD)
    monkeypatch.setattr(driver_room, "_FLUSH_TIMEOUT", 0.01)
    driver._send_last()
    assert driver._unsent, "nobody reads"
    monkeypatch.setattr(driver_room, "_FLUSH_TIMEOUT", 30.0)
    left, read = len(FLOOD.encode()), 0

    def take_all() -> None:
        nonlocal read
        while read < left:
            read += len(os.read(terminal, 65536))

    reader = threading.Thread(target=take_all)
    reader.start()
    driver._send_last()
    reader.join()
    assert (driver._unsent, read) == (b"", left)


@pytest.mark.asyncio
async def test_a_terminal_that_is_gone_takes_all(terminal: int) -> None:
    driver = TerminalDriver(App())
    driver.write(FLOOD)
    os.close(terminal)
    await asyncio.sleep(0)
    driver.write("to nobody")
    assert driver._unsent == b""
    os.dup2(os.open(os.devnull, os.O_RDONLY), terminal)  # the fixture closes it
