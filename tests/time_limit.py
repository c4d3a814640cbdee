"""What happens to a test that takes longer than its time limit (`timeout` in pyproject.toml, or its own mark).

pytest-timeout ends it with an alarm and shows the stacks of all threads; here the stacks of its tasks are added:
what waits in trio or asyncio is on no stack of a thread. Where the alarm is not heard, the process is ended a minute
later, and all stacks are on standard error.
"""

import asyncio
import faulthandler
import gc
import inspect
import io
import os
import sys
import traceback
from collections.abc import Generator, Iterator
from contextlib import suppress

import pytest
import trio

_UNHEARD = 60.0
"""Seconds that a test has to end after its alarm."""

_stderr = os.dup(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)
"""Standard error as it was when pytest started: later it may be captured."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the process if even the alarm does not end the test."""
    faulthandler.dump_traceback_later(_limit_of(item) + _UNHEARD, exit=True, file=_stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _limit_of(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0] if mark is not None else item.config.getini("timeout"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the tasks of a test that took too long, and let go of its frames."""
    report = yield
    if call.excinfo is not None and "pytest-timeout" in str(report.longrepr):
        report.sections.append(("tasks that were waiting", "\n".join(_stacks_of_tasks())))
        _close_loops(call.excinfo.value)
    return report


def _close_loops(error: BaseException | None) -> None:
    """Close the loop of trio that a test was in: while there is one, no other test of this process can start one."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for value in list(frame.f_locals.values()):
                if inspect.isgenerator(value) and not value.gi_running:
                    with suppress(BaseException):
                        value.close()
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()


def _stacks_of_tasks() -> Iterator[str]:
    for each in gc.get_objects():
        if isinstance(each, asyncio.Task) and not each.done():
            text = io.StringIO()
            each.print_stack(file=text)
            yield text.getvalue()
        elif isinstance(each, trio.lowlevel.Task) and each.coro.cr_frame is not None:
            frames = traceback.StackSummary.extract(each.iter_await_frames())
            yield f"Stack for {each!r}:\n{''.join(frames.format())}"
