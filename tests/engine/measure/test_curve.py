"""How busy the host is is kept whether or not anybody looks."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from parexec_tui.engine.measure.curve import EVERY, FIRST, CurveKeeper
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
        assert len(kept_samples(file)) == len(FIRST) + 2
        is_over = True
        await trio.sleep(3 * EVERY)
        nursery.cancel_scope.cancel()
    found = kept_samples(file)
    assert len(found) == len(FIRST) + 2
    assert all(0 <= each.cpu <= 1 and each.memory_total > 0 for each in found)


async def test_the_first_seconds_have_samples_of_their_own(
    tmp_path: Path, autojump_clock: MockClock, threads: object
) -> None:
    file = tmp_path / "host.jsonl"
    counts, began = [], trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(CurveKeeper(file, lambda: (), lambda: False).run)
        for moment in (0.5, 1.5, 2.5, 5.5, 9.5, 10.5):
            await trio.sleep_until(began + moment)
            counts.append(len(kept_samples(file)))
        nursery.cancel_scope.cancel()
    assert counts == [1, 2, 3, 4, 4, 5]
