from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.backends.worlds import BACKENDS, World


@pytest.fixture(params=BACKENDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A place for processes, once for each backend."""
    made = World(request.param, tmp_path)
    yield made
    made.close()
