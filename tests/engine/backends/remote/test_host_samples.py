"""What two counts of a node program say of its host."""

from parexec_tui.core.wire.protocol import DiskSample
from parexec_tui.engine.backends.remote.host_samples import sample_of


def test_rates_are_of_the_time_between_two_counts() -> None:
    before = {
        "cpu_total": 100.0, "cpu_busy": 10.0, "load": [1, 2, 3], "memory": 8, "memory_available": 5,
        "disk_free": 3, "disk_total": 9, "disk_read": 100, "disk_written": 0, "net_received": 7, "net_sent": 1,
    }  # fmt: skip
    after = {**before, "cpu_total": 108.0, "cpu_busy": 12.0, "disk_read": 300, "net_sent": 0}
    found = sample_of(before, after, 2.0, 50.0)
    assert (found.cpu, found.memory_used, found.disk_read, found.net_in, found.net_out) == (0.25, 3, 100.0, 0.0, 0.0)
    assert (found.at, found.load, found.disks) == (50.0, (1, 2, 3), (DiskSample("disk", "", 3, 9),))
