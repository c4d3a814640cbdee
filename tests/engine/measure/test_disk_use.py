"""What lately read from disks and wrote to them is told from the totals of the looks."""

from parexec_tui.core.wire.protocol import Usage
from parexec_tui.engine.measure.disk_use import LATELY, DiskUse


def usage(ticket: str, total: int, *, attempt: int = 1, step: str = "run") -> Usage:
    return Usage(ticket, attempt, 0.0, 0, 1, None, 0, step, disk_read=total // 3, disk_written=total - total // 3)


def test_only_what_was_used_lately_counts() -> None:
    use = DiskUse()
    use.note([usage("old", 900)], 0.0)
    assert use.lately() == {}, "it may have been long ago"
    use.note([usage("old", 900), usage("new", 60)], 2.0)
    assert use.lately() == {("new", 1): 60}
    use.note([usage("old", 910), usage("new", 60), usage("idle", 0)], 4.0)
    assert use.lately() == {("new", 1): 60, ("old", 1): 10}
    use.note([usage("old", 915), usage("new", 60)], 2.0 + LATELY)
    assert use.lately() == {("old", 1): 15}
    use.note([usage("new", 60)], 3.0 + LATELY)
    assert use.lately() == {}


def test_steps_count_together_and_a_slow_look_counts_whole() -> None:
    use = DiskUse()
    use.note([], 0.0)
    use.note([usage("A", 50), usage("A", 7, step="check")], 30.0)
    assert use.lately() == {("A", 1): 57}
    use.note([usage("A", 9, attempt=2)], 60.0)
    assert use.lately() == {("A", 2): 9}
