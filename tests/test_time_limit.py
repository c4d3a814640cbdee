"""A test that takes too long fails, says where it was, and leaves the tests after it alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HOOKS = "from tests.time_limit import pytest_runtest_makereport, pytest_runtest_protocol\n"

TESTS = """
import asyncio, time
import pytest, trio

def test_sleeps():
    time.sleep(100)

@pytest.mark.trio
async def test_spins_in_trio():
    while True:
        await trio.lowlevel.checkpoint()

@pytest.mark.trio
async def test_waits_in_trio():
    await trio.sleep(100)

@pytest.mark.asyncio
async def test_waits_in_asyncio():
    await asyncio.sleep(100)

@pytest.mark.trio
async def test_is_well():
    await trio.sleep(0)
"""

INI = """[pytest]
timeout = 1
timeout_method = signal
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["here", "in a worker"])
def test_each_wait_is_shown_and_ended(tmp_path: Path, workers: list[str]) -> None:
    for name, text in (("conftest.py", HOOKS), ("test_it.py", TESTS), ("pytest.ini", INI)):
        (tmp_path / name).write_text(text)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *workers, "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "4 failed, 1 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "Attempted to call run()" not in ran.stdout
    for line in ("time.sleep(100)", "trio.sleep(100)", "asyncio.sleep(100)"):
        assert any(shown.strip("> ").removeprefix("await ") == line for shown in ran.stdout.splitlines()), line
