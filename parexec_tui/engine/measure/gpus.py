"""How busy the GPUs are: what NVML tells, the library of NVIDIA's driver, where its Python module is installed
(`parexec-tui[gpu]`). Without module, driver or GPU there is nothing to tell, and nothing more is tried.

Sources: the NVML API reference; `pynvml` is the module of nvidia-ml-py.
"""

import importlib
from contextlib import suppress
from typing import Any

from parexec_tui.core.wire.protocol import GpuSample

RETRY = 60.0
"""Seconds until a driver is asked again that failed: it may be reset, or be loaded later."""


class Gpus:
    """Asks NVML again and again. Not for two threads at once."""

    def __init__(self) -> None:
        self._nvml: Any = None
        """The module, once the library is open; before, and while the driver fails, None."""
        self._ask_at: float | None = 0.0
        """When to try again to open it; None: never, there is none."""

    def measure(self, now: float) -> tuple[GpuSample, ...]:
        """Those that answer. `now`: of a clock that does not jump."""
        if self._nvml is None and (self._ask_at is None or now < self._ask_at or not self._open(now)):
            return ()
        nvml = self._nvml
        try:
            count: int = nvml.nvmlDeviceGetCount()
            found = [_measure(nvml, index) for index in range(count)]
        except nvml.NVMLError:
            self._close(now)
            return ()
        return tuple(each for each in found if each is not None)

    def _open(self, now: float) -> bool:
        self._ask_at = None
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return False
        try:
            nvml.nvmlInit()
        except nvml.NVMLError_LibraryNotFound:
            return False
        except nvml.NVMLError:
            self._ask_at = now + RETRY
            return False
        self._nvml = nvml
        return True

    def _close(self, now: float) -> None:
        nvml, self._nvml, self._ask_at = self._nvml, None, now + RETRY
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _measure(nvml: Any, index: int) -> GpuSample | None:
    """None: it tells nothing. Raises NVMLError if the library must be opened again."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError_Uninitialized:
        raise
    except nvml.NVMLError:  # it has fallen off the bus, or is not ours to look at
        return None
    busy = memory = name = None
    with suppress(nvml.NVMLError):
        busy = round(nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100, 2)
    with suppress(nvml.NVMLError):
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    with suppress(nvml.NVMLError):
        name = nvml.nvmlDeviceGetName(handle)
    if busy is None and memory is None:
        return None
    return GpuSample(
        index,
        name.decode(errors="replace") if isinstance(name, bytes) else name or "",
        busy,
        int(memory.used) if memory is not None else None,
        int(memory.total) if memory is not None else None,
    )
