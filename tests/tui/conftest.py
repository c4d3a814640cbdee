"""What holds for every test of the screen: its clocks show UTC. And the pictures that it is compared with."""

import difflib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_PICTURES = Path(__file__).with_name("snapshots")


class Snapshots:
    """Texts that were looked at by a person and found good, a file each."""

    def __init__(self, *, is_update: bool) -> None:
        self._is_update = is_update

    def check(self, name: str, text: str) -> None:
        """The text is as in its file; else the test fails, and says in which lines. With the option it is written."""
        file = _PICTURES / f"{name}.txt"
        text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
        if self._is_update:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        if text != before:
            lines = difflib.unified_diff(
                before.splitlines(), text.splitlines(), f"{name}, as it was", f"{name}, as it is", lineterm="", n=1
            )
            more = "look at it, and if it is good: pytest -n 0 tests/tui/test_snapshots.py --update-snapshots"
            pytest.fail("\n".join((*lines, more)), pytrace=False)


@pytest.fixture
def snapshots(request: pytest.FixtureRequest) -> Snapshots:
    return Snapshots(is_update=request.config.getoption("--update-snapshots"))


@pytest.fixture(autouse=True)
def in_utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()
