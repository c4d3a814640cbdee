"""When the machine is short of descriptors or processes: starts wait, the engine lives, and nothing fails for it."""

import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.state.status import Status
from tests.engine.engines import PAREXEC, WITHIN, session, state_of, write_plan

ALL_RUN = '[tickets.Z]\nrun = "until [ $(ls began | wc -l) = 60 ]; do sleep 0.1; done; touch go"\n'


@pytest.mark.parametrize("which", ["-Sn", "-n"])
def test_sixty_at_once_with_64_descriptors(tmp_path: Path, which: str) -> None:
    run = "until [ -e go ]; do sleep 0.1; done; ulimit -Sn >> limits"
    tickets = "".join(f'[tickets.T{number}]\nrun = "touch began/{number}; {run}"\n' for number in range(60))
    write_plan(tmp_path, f"[plan]\nparallel = 61\n{tickets}{ALL_RUN}")
    (tmp_path / "began").mkdir()
    command = 'ulimit "$0" 64 && exec "$@" run plan.toml --headless'
    done = subprocess.run(
        ["sh", "-c", command, which, *PAREXEC],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert state_of(session()).counts[Status.succeeded] == 61
    limits = (tmp_path / "limits").read_text().split()
    assert limits == ["64"] * 60, "what it runs has the limit that the engine was given"
