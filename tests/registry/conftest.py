"""A registry file that is not there yet, and one that is open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.registry.registry import Registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def registry(file: Path) -> Iterator[Registry]:
    with Registry.open(file) as registry:
        yield registry
