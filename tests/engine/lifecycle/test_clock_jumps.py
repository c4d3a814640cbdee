"""The wall clock is set while no engine is there: timeouts and retry delays go by the clock of the boot.

Time that the host was suspended does not count either: the clock of the boot leaves it out, as it does when the wall
clock is set forward. Only the latter can be had in a test.
"""

import os
import subprocess
from pathlib import Path
from shutil import which

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End
from tests.engine.engines import PAREXEC, WITHIN, happened, start, until

pytestmark = pytest.mark.skipif(which("faketime") is None, reason="needs faketime, of libfaketime")

PLAN = """
[tickets.patient]
run = "until [ -e go ]; do sleep 0.02; done"
timeout = "1m"
[tickets.slow]
run = "touch up; sleep 60"
timeout = "4s"
[tickets.backoff]
run = "[ $PAREXEC_ATTEMPT = 2 ]"
retries = 1
retry_delay = "6s"
[plan]
parallel = 3
"""


def run_later(folder: Path, jump: str) -> subprocess.Popen[bytes]:
    """An engine that is killed when all tickets run or wait for a retry, and one whose wall clock is another."""
    engine = start(folder, PLAN)
    engine.until(lambda: (folder / "up").exists() and happened(ev.AttemptEnded, ticket="backoff"), "all is under way")
    for id_ in ("patient", "slow"):
        engine.until(lambda id_=id_: happened(ev.AttemptSpawned, ticket=id_), f"{id_} is noted")  # type: ignore[misc]
    engine.kill()
    return subprocess.Popen(
        ["faketime", "-f", jump, *PAREXEC, "resume", "--headless"],
        cwd=folder,
        env={**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_a_clock_that_is_set_ends_no_ticket_and_no_wait(tmp_path: Path, jump: str) -> None:
    with run_later(tmp_path, jump) as engine:
        until(lambda: happened(ev.AttemptEnded, ticket="slow"), "it timed out")
        assert not happened(ev.AttemptEnded, ticket="patient")
        (tmp_path / "go").touch()
        assert engine.wait(WITHIN) == 1
    (slow,), (patient,) = happened(ev.AttemptEnded, ticket="slow"), happened(ev.AttemptEnded, ticket="patient")
    assert (slow.end, slow.reason, patient.end) == (End.timed_out, "after 4.0s", End.succeeded)
    assert 4 <= slow.seconds < WITHIN
    assert patient.seconds < WITHIN
    first, second = happened(ev.AttemptStarted, ticket="backoff")
    (monitored, again) = happened(ev.MonitoringStarted)
    assert monitored.uptime is not None
    assert again.uptime is not None
    waited = again.uptime - monitored.uptime - (first.at - monitored.at) + second.at - again.at
    assert 4 <= waited < WITHIN
