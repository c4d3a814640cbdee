"""The storm, shortened: `python -m tests.end_to_end.storm` is the whole of it."""

from pathlib import Path

import pytest

from tests.end_to_end.kill_witness import TICKETS
from tests.end_to_end.storm import storm


@pytest.mark.timeout(400)
def test_sixty_seconds_of_random_faults_lose_nothing_and_run_nothing_twice(tmp_path: Path) -> None:
    figures = storm(tmp_path, 60, 1, print)
    print(figures)
    assert figures.violations == []
    assert figures.attempts >= figures.rounds * TICKETS > 0
    assert figures.faults.total() > 10
