"""The real CLIs: `pytest -m real_agents`. They are installed by npm if they are not there yet."""

import subprocess
import sys

import pytest

from tests.agents.real_agents import PACKAGES


@pytest.mark.real_agents
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", list(PACKAGES))
def test_a_plan_ends_as_the_recordings_say(kind: str) -> None:
    words = [sys.executable, "-m", "tests.agents.real_agents", "--kinds", kind]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
