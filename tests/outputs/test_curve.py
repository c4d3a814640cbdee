"""How busy the host was is kept in a file of at most a megabyte, the newest most finely."""

from itertools import pairwise
from pathlib import Path

from msgspec import structs

from parexec_tui.core.wire.protocol import DiskSample, GpuSample, HostSample
from parexec_tui.outputs.curve import MOST, keep_sample, kept_samples


def sample(at: float) -> HostSample:
    return HostSample(
        at=at,
        cpu=0.5,
        per_cpu=(0.25, 0.75),
        load=(1.0, 2.0, 3.0),
        memory_used=5,
        memory_total=9,
        swap_used=0,
        swap_total=0,
        disks=(DiskSample("disk", "/", 1, 2),),
        disk_read=1.0,
        disk_write=2.0,
        net_in=3.0,
        net_out=4.0,
        pressure={"cpu": 0.1},
    )


def test_what_is_kept_is_read_again_without_the_single_cpus(tmp_path: Path) -> None:
    file = tmp_path / "host.jsonl"
    assert kept_samples(file) == []
    keep_sample(file, sample(10))
    with file.open("a") as out:
        out.write('{"at": 1')  # the engine died while it wrote
    (found,) = kept_samples(file)
    assert (found.at, found.cpu, found.per_cpu, found.disks) == (10, 0.5, (), (DiskSample("disk", "/", 1, 2),))


def test_a_week_is_kept_in_a_megabyte_whatever_the_host_has(tmp_path: Path) -> None:
    file = tmp_path / "host.jsonl"
    gpus = tuple(GpuSample(index, "NVIDIA H100 80GB HBM3", 0.87, 64 << 30, 80 << 30) for index in range(8))
    large = structs.replace(sample(0), gpus=gpus)
    largest, week = 0, 7 * 24 * 3600
    for at in range(0, week, 60):
        keep_sample(file, structs.replace(large, at=float(at)))
        largest = max(largest, file.stat().st_size)
    assert MOST / 2 < largest <= MOST
    found = kept_samples(file)
    assert (found[0].at, found[-1].at) == (0, week - 60)
    assert [gpu.busy for gpu in found[-1].gpus] == [0.87] * 8
    for earlier, later in pairwise(found):
        assert later.at - earlier.at <= max(60, (week - earlier.at) / 30), "what is long ago is known more coarsely"


def test_it_stays_small_covers_all_of_the_session_and_keeps_the_newest(tmp_path: Path) -> None:
    file, most = tmp_path / "host.jsonl", 20_000
    for number in range(1000):
        keep_sample(file, sample(number * 10), most)
        assert file.stat().st_size <= most
    times = [each.at for each in kept_samples(file)]
    assert times[-1] == 9990
    assert times == sorted(times)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] > gaps[-1] == 10, "what is long ago is known more coarsely"
    assert times[0] <= 2000, "but it is known"
