"""A user that has a number and no name, as in many containers."""

import os
import pwd
from pathlib import Path
from typing import NoReturn

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from parexec_tui.engine import session
from parexec_tui.engine.measure import monitor
from tests.engine.engines import Heard, happened, resume, ticket


def test_a_user_without_a_name_is_called_by_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", no_name)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    plan = read_plan("[tickets.A]\nrun = '[ -e go ]'", source="plan.toml", folder=str(tmp_path), format="toml")
    session.run_plan(plan, monitor.host(), Heard().sink)
    assert happened(ev.SessionOpened)[0].by.partition("@")[0] == str(os.getuid())
    (tmp_path / "go").touch()
    resume(retry_failed=True)
    assert ticket("A").status is Status.succeeded
