"""What holds for every test: it has a state folder of its own, and knows of no engine around it."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("PAREXEC_"):
            monkeypatch.delenv(name)
    home = tmp_path / "state-home"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home
