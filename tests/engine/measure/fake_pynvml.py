"""What stands in for `pynvml`: the driver is a JSON file beside it, so a test can change it while it is asked.

    {"init": ERROR, "fails": ERROR,
     "gpus": [{"name": NAME, "busy": PERCENT, "used": BYTES, "total": BYTES, "lost": ERROR}]}

ERROR is the end of the name of an exception. What a GPU lacks is not supported. As with the real module, every call
fails before init and after shutdown.
"""
# ruff: noqa: N801, N802, N818 - the names are those of the real module

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_DRIVER = Path(__file__).with_name("driver.json")
_opened = 0


class NVMLError(Exception):
    pass


class NVMLError_LibraryNotFound(NVMLError):
    pass


class NVMLError_DriverNotLoaded(NVMLError):
    pass


class NVMLError_Uninitialized(NVMLError):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


class NVMLError_GpuIsLost(NVMLError):
    pass


class NVMLError_Unknown(NVMLError):
    pass


def _driver() -> dict[str, Any]:
    if not _opened:
        raise NVMLError_Uninitialized
    found: dict[str, Any] = json.loads(_DRIVER.read_text())
    return found


def _fail(error: str | None) -> None:
    if error:
        raise globals()[f"NVMLError_{error}"]


def nvmlInit() -> None:
    global _opened
    with _DRIVER.with_name("inits").open("a") as calls:
        calls.write("x")
    _fail(json.loads(_DRIVER.read_text()).get("init"))
    _opened += 1


def nvmlShutdown() -> None:
    global _opened
    _driver()
    _opened -= 1


def nvmlDeviceGetCount() -> int:
    driver = _driver()
    _fail(driver.get("fails"))
    return len(driver["gpus"])


def nvmlDeviceGetHandleByIndex(index: int) -> dict[str, Any]:
    gpu: dict[str, Any] = _driver()["gpus"][index]
    _fail(gpu.get("lost"))
    return gpu


def _told(gpu: dict[str, Any], name: str) -> Any:
    _driver()
    if name not in gpu:
        raise NVMLError_NotSupported
    return gpu[name]


def nvmlDeviceGetName(handle: dict[str, Any]) -> str:
    return str(_told(handle, "name"))


def nvmlDeviceGetUtilizationRates(handle: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(gpu=_told(handle, "busy"), memory=0)


def nvmlDeviceGetMemoryInfo(handle: dict[str, Any]) -> SimpleNamespace:
    total = _told(handle, "total")
    return SimpleNamespace(total=total, free=total - handle["used"], used=handle["used"])
