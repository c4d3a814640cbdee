"""What is told in words."""

from parexec_tui.core.state.used import Used
from parexec_tui.text.words import used_parts


def test_cpu_time_is_told_without_a_peak_of_memory_unless_it_is_small() -> None:
    assert used_parts(Used(cpu_seconds=2.5)) == ["2.5s of cpu"]
    assert used_parts(Used(cpu_seconds=0.01)) == []
    assert used_parts(Used(cpu_seconds=0.01, peak_memory=1 << 20)) == ["1MiB", "0.01s of cpu"]
