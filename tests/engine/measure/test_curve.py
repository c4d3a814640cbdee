"""How busy the host is is kept whether or not anybody looks."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from parexec_tui.engine.measure.curve import EVERY, CurveKeeper
from parexec_tui.outputs.curve import kept_samples

pytestmark = pytest.mark.trio


async def test_a_sample_is_kept_every_ten_seconds_until_all_is_over(
    tmp_path: Path, autojump_clock: MockClock, threads: object
) -> None:
    file = tmp_path / "host.jsonl"
    is_over = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(CurveKeeper(file, lambda: (), lambda: is_over).run)
        await trio.sleep(3 * EVERY + 1)
        assert len(kept_samples(file)) == 3
        is_over = True
        await trio.sleep(3 * EVERY)
        nursery.cancel_scope.cancel()
    found = kept_samples(file)
    assert len(found) == 3
    assert all(0 <= each.cpu <= 1 and each.memory_total > 0 for each in found)
