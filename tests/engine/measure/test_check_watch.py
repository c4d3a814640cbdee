"""Checks in virtual time, with a backend that has no processes: when they are made, and of what."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import LAST_LOOK
from parexec_tui.core.state.status import End
from parexec_tui.engine.measure.check_commands import CheckCommands
from parexec_tui.engine.measure.check_watch import MOST_READ, CheckWatch
from parexec_tui.engine.pool import Pool
from tests.engine.test_coordinator import Run, running

pytestmark = pytest.mark.trio


def plan(check: str) -> str:
    return f'[tickets.T]\nrun = "x"\ngrace = "1s"\nchecks = [{{ {check} }}]\n[tickets.plain]\nrun = "x"\n'


async def watch(run: Run, nursery: trio.Nursery) -> CheckWatch:
    commands = CheckCommands(run.backend, run.state, Pool(run.state, "s"))
    run.coordinator.sift = commands.sift
    made = CheckWatch(run.backend, run.state, run.coordinator.submit_reports, commands)
    nursery.start_soon(made.run)
    return made


def failed(run: Run) -> list[tuple[float, str]]:
    return [
        (round(event.at - run.state.opened_at), event.reason)
        for event in run.told
        if isinstance(event, ev.CheckFailed)
    ]


async def test_a_file_that_stops_growing_is_seen_at_the_next_look(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, plan('grows = "model.log", every = "10s"')) as run, trio.open_nursery() as nursery:
        run.backend.files["model.log"] = "1 100"
        await watch(run, nursery)
        await trio.sleep(15)
        run.backend.files["model.log"] = "1 200"
        await trio.sleep(10)
        assert failed(run) == []
        await trio.sleep(10)
        assert failed(run) == [(30, "model.log has not grown for 10.0s")]
        run.backend.files["model.log"] = "1 300"
        await run.until(lambda: run.kinds(ev.CheckHeld), "it grows again")
        nursery.cancel_scope.cancel()
        for ticket in run.backend.running:
            run.backend.end(ticket)


async def test_of_a_long_line_is_told_what_stands_around_what_was_found(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, plan('forbid = "oh*no", every = "5s"')) as run, trio.open_nursery() as nursery:
        run.backend.printed["T"] = "é".encode() * 300 + b" well, oh, that: no way, " + b"c" * 300 + b"\n"
        made = await watch(run, nursery)
        run.told_too = made.tell
        await run.until(lambda: failed(run), "it is found")
        assert failed(run)[0][1] == f"it printed ...{'é' * 13} well, oh, that: no way, {'c' * 39}"
        for ticket in ("T", "plain"):
            run.backend.end(ticket)
        await run.until(lambda: run.ends("T"), "it has been looked at for the last time")
        nursery.cancel_scope.cancel()


async def test_what_is_printed_after_a_gap_is_searched(tmp_path: Path, autojump_clock: MockClock) -> None:
    check = 'forbid = "Traceback", every = "5s"'
    async with running(tmp_path, plan(check)) as run, trio.open_nursery() as nursery:
        run.backend.printed["T"] = b"x" * 100
        made = await watch(run, nursery)
        run.told_too = made.tell
        await trio.sleep(7)
        run.backend.printed["T"] = b"x" * 400 + b"Trace" + b"\0" * 595 + b"back\n" + b"on\n"
        run.backend.gaps["T"] = (100, 1000)
        await trio.sleep(10)
        assert failed(run) == [], "what stands around the gap is no line"
        run.backend.printed["T"] += b"Traceback\n"
        await trio.sleep(5)
        assert failed(run) == [(20, "it printed Traceback")]
        for ticket in ("T", "plain"):
            run.backend.end(ticket)
        await run.until(lambda: run.ends("T"), "it has been looked at for the last time")
        nursery.cancel_scope.cancel()


async def test_a_colour_in_the_middle_hides_nothing_even_if_two_looks_divide_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    check = 'forbid = "bad word", every = "5s", then = "stop"'
    async with running(tmp_path, plan(check)) as run, trio.open_nursery() as nursery:
        run.backend.printed["T"] = b"loss 1\r\x1b[31mbad\x1b[0"
        await watch(run, nursery)
        await trio.sleep(6)
        run.backend.printed["T"] += b"m word\n"
        await run.until(lambda: run.ends("T"), "it ends")
        assert run.ends("T")[0].reason == "check no bad word: it printed loss 1 bad word"
        nursery.cancel_scope.cancel()
        run.backend.end("plain")


async def test_what_must_not_be_printed_is_found_across_two_looks_and_ends_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    check = 'forbid = "Traceback", every = "5s", then = "stop"'
    async with running(tmp_path, plan(check)) as run, trio.open_nursery() as nursery:
        run.backend.printed["T"] = b"all is well\nTrace"
        await watch(run, nursery)
        await trio.sleep(6)
        assert failed(run) == []
        run.backend.printed["T"] += b"back (most recent call last)\n"
        await run.until(lambda: run.ends("T"), "it ends")
        (ended,) = run.ends("T")
        said = "check no Traceback: it printed Traceback (most recent call last)"
        assert (ended.end, ended.reason) == (End.failed, said)
        nursery.cancel_scope.cancel()
        run.backend.end("plain")


async def test_what_is_printed_between_two_looks_and_the_end_is_found(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    check = 'forbid = "Trace*back", every = "1h", then = "stop"'
    async with running(tmp_path, plan(check)) as run, trio.open_nursery() as nursery:
        run.backend.printed["T"] = b"fine\n" * (MOST_READ // 4) + b"Traceback\n"
        made = await watch(run, nursery)
        run.told_too = made.tell
        await trio.sleep(6)
        run.backend.end("T")
        await run.until(lambda: run.ends("T"), "it ends")
        (ended,) = run.ends("T")
        assert (ended.end, ended.reason, ended.step) == (
            End.failed,
            "check no Trace*back: it printed Traceback",
            LAST_LOOK,
        )
        assert made._looks == {}, "nothing is kept of what is over"
        nursery.cancel_scope.cancel()
        run.backend.end("plain")


async def test_a_file_system_that_does_not_answer_keeps_no_other_ticket_waiting(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    both = plan('grows = "dead/log", every = "1s"') + '[tickets.M]\nrun = "x"\nchecks = [{ max_memory = "1MiB" }]\n'
    async with running(tmp_path, both) as run, trio.open_nursery() as nursery:
        run.backend.dead.add("dead/log")
        run.backend.memory["M"] = 3 << 20
        await watch(run, nursery)
        await run.until(lambda: run.kinds(ev.CheckFailed), "the memory of M is seen")
        assert failed(run) == [(10, "it uses 3MiB, more than 1MiB")]
        nursery.cancel_scope.cancel()
        for ticket in run.backend.running:
            run.backend.end(ticket)


async def test_more_memory_than_it_may_use_freezes_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    check = 'max_memory = "1MiB", every = "5s", then = "freeze"'
    async with running(tmp_path, plan(check)) as run, trio.open_nursery() as nursery:
        run.backend.memory["T"] = 1 << 20
        await watch(run, nursery)
        await trio.sleep(6)
        assert run.backend.freezes == []
        run.backend.memory["T"] = 3 << 20
        await run.until(lambda: run.backend.freezes, "it is frozen")
        assert failed(run)[0][1] == "it uses 3MiB, more than 1MiB"
        nursery.cancel_scope.cancel()
        for ticket in run.backend.running:
            run.backend.end(ticket)


async def test_nothing_is_looked_at_for_tickets_without_checks(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.plain]\nrun = "x"\n') as run, trio.open_nursery() as nursery:
        made = await watch(run, nursery)
        made.tell(run.state, run.told)
        await trio.sleep(100)
        assert made._looks == {}
        nursery.cancel_scope.cancel()
        run.backend.end("plain")
