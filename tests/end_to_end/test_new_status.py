"""A new status is a member and a row: in a copy of the package that has one more, every room copes with it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MEMBER = '    running = "running"\n'
ROW = "_ROWS: Final = (\n"


def add_a_status(table: Path) -> None:
    text = table.read_text(encoding="utf-8")
    for line in (MEMBER, ROW):
        assert text.count(line) == 1
    text = text.replace(MEMBER, f'{MEMBER}    reviewing = "reviewing"\n')
    row = 'StatusRow(Status.reviewing, "◎", "o", 15, 15, "warn", "a reviewer looks at it", is_live=True)'
    table.write_text(text.replace(ROW, f"{ROW}    {row},\n"), encoding="utf-8")


def test_every_room_copes_with_a_new_status(tmp_path: Path) -> None:
    copy, home = tmp_path / "copy", tmp_path / "home"
    home.mkdir()
    for folder in ("parexec_tui", "themes", "tests"):
        shutil.copytree(
            ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "pictures", "*.db")
        )
    add_a_status(copy / "parexec_tui/core/state/status.py")
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }

    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.new_status", str(copy / "themes/parexec-dark.toml")],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("every room copes\n", 0), done.stderr[-4000:]
