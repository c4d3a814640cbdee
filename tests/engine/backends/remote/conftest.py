from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.backends.remote.nodes import Node, spool_in


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    """A folder for a node, of which nothing lives after the test."""
    with spool_in(tmp_path) as spool:
        yield spool


@pytest.fixture
def node(spool: Path) -> Iterator[Node]:
    """A node program."""
    made = Node(spool)
    yield made
    if made.process.poll() is None:
        made.close()
