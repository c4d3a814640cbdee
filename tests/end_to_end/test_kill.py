"""The kill matrix, shortened: `python -m tests.end_to_end.kill_matrix` is the whole of it."""

from itertools import count
from pathlib import Path

import pytest

from tests.end_to_end.kill_matrix import torment
from tests.engine.engines import Engine

KILLS = 8


def test_an_engine_may_be_killed_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kills = 0
    for seed in count(1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state-home"))
        try:
            outcome = torment(folder, seed, most=min(5, KILLS - kills))
        finally:
            while Engine.running:
                Engine.running.pop().kill()
        assert outcome.violations == []
        kills += len(outcome.kills)
        if kills == KILLS:
            return
