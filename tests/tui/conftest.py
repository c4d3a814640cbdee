"""What holds for every test of the screen: its clocks show UTC."""

import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def in_utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()
