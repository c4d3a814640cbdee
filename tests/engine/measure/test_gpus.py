"""GPUs: what the driver tells is told, and where there is none, not a word."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.core.wire.protocol import GpuSample
from parexec_tui.engine.measure.gpus import RETRY, Gpus
from parexec_tui.engine.measure.host_meter import Counters, HostMeter

GIB = 1 << 30
BIG: dict[str, Any] = {"name": "H100", "busy": 87, "used": 12 * GIB, "total": 80 * GIB}
SMALL: dict[str, Any] = {"name": "T4", "busy": 0, "used": 0, "total": 16 * GIB}
SEEN = GpuSample(0, "H100", 0.87, 12 * GIB, 80 * GIB)


class Driver:
    """That of the stand-in for `pynvml`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copy(Path(__file__).with_name("fake_pynvml.py"), folder / "pynvml.py")

    def says(self, *gpus: dict[str, Any], **more: str) -> None:
        (self._folder / "driver.json").write_text(json.dumps({"gpus": gpus, **more}))

    @property
    def inits(self) -> int:
        """How often it was opened."""
        return (self._folder / "inits").stat().st_size


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    return Driver(tmp_path)


def test_each_gpu_is_measured_with_the_host(driver: Driver) -> None:
    driver.says(BIG, SMALL)
    host = HostMeter(lambda: Counters(()))
    assert host.measure(0, 0, ()).gpus == (SEEN, GpuSample(1, "T4", 0.0, 0, 16 * GIB))
    driver.says(BIG | {"busy": 3})
    assert [gpu.busy for gpu in host.measure(2, 2, ()).gpus] == [0.03]
    assert driver.inits == 1


def test_what_a_gpu_does_not_tell_is_left_out(driver: Driver) -> None:
    driver.says({"name": "MIG", "used": 1, "total": 2}, {"busy": 50}, {"name": "dumb"}, BIG | {"lost": "GpuIsLost"})
    assert Gpus().measure(0) == (GpuSample(0, "MIG", None, 1, 2), GpuSample(1, "", 0.5, None, None))


def test_without_the_module_there_is_not_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    gpus = Gpus()
    assert gpus.measure(0) == ()
    monkeypatch.delitem(sys.modules, "pynvml")
    assert gpus.measure(10 * RETRY) == ()
    assert "pynvml" not in sys.modules, "it is not looked for again"


def test_without_a_driver_nothing_more_is_tried(driver: Driver) -> None:
    driver.says(BIG, init="LibraryNotFound")
    gpus = Gpus()
    assert [gpus.measure(RETRY * number) for number in range(3)] == [()] * 3
    assert driver.inits == 1


def test_a_driver_that_is_not_loaded_yet_is_asked_again_after_a_while(driver: Driver) -> None:
    driver.says(BIG, init="DriverNotLoaded")
    gpus = Gpus()
    assert gpus.measure(100) == ()
    driver.says(BIG)
    assert gpus.measure(100 + RETRY / 2) == ()
    assert gpus.measure(100 + RETRY) == (SEEN,)


@pytest.mark.parametrize("how", [{"fails": "Unknown"}, {"fails": "GpuIsLost"}, {"fails": "Uninitialized"}])
def test_a_driver_that_fails_later_does_no_harm_and_is_opened_again(driver: Driver, how: dict[str, str]) -> None:
    driver.says(BIG)
    gpus = Gpus()
    assert gpus.measure(0) == (SEEN,)
    driver.says(BIG, **how)
    assert gpus.measure(2) == ()
    driver.says(BIG)
    assert gpus.measure(4) == ()
    assert gpus.measure(2 + RETRY) == (SEEN,)
    assert driver.inits == 2


def test_without_a_gpu_there_is_none(driver: Driver) -> None:
    driver.says()
    assert Gpus().measure(0) == ()
