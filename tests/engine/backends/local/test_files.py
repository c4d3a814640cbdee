"""The files that a pattern covers."""

from pathlib import Path

import pytest

from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.engine.backends.local.files import files_of


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("report.txt", ["report.txt"]),
        ("report*.txt", ["report-1.txt", "report.txt"]),
        ("out/part-?/*", ["out/part-1/a"]),
        ("out", ["out/b.o", "out/part-1/a"]),
        ("out/*.o", ["out/b.o"]),
        ("**/*.o", ["c.o", "out/b.o"]),
        ("missing", []),
        ("missing/*", []),
    ],
)
def test_files_that_a_pattern_covers(tmp_path: Path, pattern: str, found: list[str]) -> None:
    for name in ("report.txt", "report-1.txt", "out/part-1/a", "out/b.o", "c.o"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = files_of(parse_pattern(pattern, str(tmp_path)))
    assert sorted(str(Path(path).relative_to(tmp_path)) for path, _ in files) == found
