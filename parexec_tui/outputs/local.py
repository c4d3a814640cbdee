"""Output in a file of this machine."""

import os
from pathlib import Path

from msgspec import Struct

from parexec_tui.outputs.log_file import LogFile


class LocalOutput(Struct, frozen=True):
    """See `Output`."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self, offset: int, limit: int) -> bytes:
        with self.path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), limit, offset)

    def tail(self, limit: int) -> bytes:
        with self.path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), limit, max(0, size - limit))

    def follow(self) -> LogFile:
        return LogFile(self.path)
