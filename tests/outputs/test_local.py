"""Output in a file of this machine."""

from pathlib import Path

import pytest

from parexec_tui.outputs.local import LocalOutput


def test_a_folder_in_the_place_of_a_log_costs_no_descriptor(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(OSError, match="it is not a regular file"):
            LocalOutput(tmp_path).tail(10)
    assert len(list(Path("/dev/fd").iterdir())) == before
