"""What tests of sessions share: a folder of their own, and nothing that runs on."""

from pathlib import Path

import pytest

from tests.cli.conftest import here as here
from tests.engine.conftest import nothing_runs_on as nothing_runs_on


@pytest.fixture(autouse=True)
def in_its_own_folder(here: Path) -> Path:
    return here
