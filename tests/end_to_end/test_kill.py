"""The kill matrix, shortened: `python -m tests.end_to_end.kill_matrix` is the whole of it."""

from itertools import count
from pathlib import Path

import pytest

from parexec_tui.paths import RUNTIME_DIR, STATE_HOME
from tests.end_to_end.kill_matrix import torment
from tests.engine.engines import Engine


@pytest.mark.parametrize(("alone", "kills"), [(True, 8), (False, 8)], ids=["alone", "guarded"])
def test_anything_may_be_killed_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: bool, kills: int
) -> None:
    seen = 0
    for seed in count(1):
        folder = tmp_path / str(seed)
        for name, variable in (("state-home", STATE_HOME), ("run", RUNTIME_DIR)):
            (folder / name).mkdir(mode=0o700, parents=True)
            monkeypatch.setenv(variable, str(folder / name))
        try:
            outcome = torment(folder, seed, most=min(5, kills - seen), alone=alone)
        finally:
            while Engine.running:
                Engine.running.pop().kill()
        assert outcome.violations == []
        seen += len(outcome.kills)
        if seen == kills:
            return
