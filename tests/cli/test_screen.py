"""The exit code of a command that showed a session on the screen."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from parexec_tui.cli.screen import _import_screen
from parexec_tui.client.mirror import Mirror
from parexec_tui.core.state.session import SessionState
from tests.engine.engines import PAREXEC


def finished(folder: Path, name: str, command: str) -> str:
    """A finished session of one ticket."""
    (folder / name).mkdir()
    plan = folder / name / "plan.json"
    plan.write_text(json.dumps({"tickets": {"T": {"run": command}}}))
    ran = subprocess.run([*PAREXEC, "run", plan, "--json"], stdout=subprocess.PIPE, text=True, check=False)
    events = (json.loads(line) for line in ran.stdout.splitlines())
    return next(str(event["session"]) for event in events if event["kind"] == "session_opened")


@pytest.mark.parametrize(("options", "code"), [({}, 1), ({"lists_sessions": True}, 0)])
def test_a_command_exits_with_the_code_of_its_own_session_whatever_is_shown_at_the_end(
    here: Path, monkeypatch: pytest.MonkeyPatch, options: Mapping[str, bool], code: int
) -> None:
    bad, good = finished(here, "bad", "exit 1"), finished(here, "good", "true")

    def show(*_: object) -> tuple[SessionState, str]:
        mirror = Mirror.open(good)
        for _event in mirror.news():
            pass
        return mirror.state, mirror.outcome

    monkeypatch.setattr("parexec_tui.tui.app.show.show", show)

    assert _import_screen(dict(options))(bad) == code
