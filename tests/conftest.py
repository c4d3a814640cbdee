"""What holds for every test: it has a state folder of its own, and knows nothing of how pytest was started."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.hosts import networks
from tests.hosts.networks import Network
from tests.time_limit import pytest_runtest_makereport as pytest_runtest_makereport
from tests.time_limit import pytest_runtest_protocol as pytest_runtest_protocol

# Programs that tests start find their modules compiled, as people have them: to compile them anew takes longer than
# most of these programs run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Machines are shared: how long one example takes says nothing about the code.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-snapshots", action="store_true", help="write what the screen looks like, instead of comparing it"
    )


@pytest.fixture(autouse=True, scope="session")
def no_signals_are_ignored() -> None:
    """Programs that are started by tests obey signals that this process ignores, as it does under nohup.

    A program inherits that a signal is ignored, but no handler.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(autouse=True, scope="session")
def only_programs_that_we_may_run() -> None:
    """Take folders out of PATH that belong to somebody else: what is not found in them is "not permitted"."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(folder for folder in folders if os.access(folder, os.X_OK))


_CALM = """
# However busy the machine is on which tests run: only those about that care.
[pressure]
memory = 0
disk = 0
io = 0
cpu = 0
# Tests look at logs by their own names; those about what becomes of them say so.
[prune]
compress = false
"""


@pytest.fixture(autouse=True, scope="session")
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings that are nobody's, for all tests that have none of their own."""
    home = tmp_path_factory.mktemp("config-home")
    (home / "parexec").mkdir()
    (home / "parexec" / "settings.toml").write_text(_CALM, encoding="utf-8")
    os.environ["XDG_CONFIG_HOME"] = str(home)
    return home


@pytest.fixture(autouse=True)
def own_state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("PAREXEC_", "OTEL_")) or name == "TRACEPARENT":
            monkeypatch.delenv(name)
    home = tmp_path / "state-home"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A network to add hosts to; the test is skipped where there can be none."""
    with networks.network(tmp_path / "network") as made:
        yield made
