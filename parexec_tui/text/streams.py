"""Standard output that cannot be written: its disk is full, it was closed, or nobody reads it any more."""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class OutputError(OSError):
    """Standard output cannot be written. The message says why; it has no errno, which click would exit for."""

    def __init__(self, error: OSError) -> None:
        why = "it is closed" if error.errno == errno.EBADF else error.strerror or error
        super().__init__(f"cannot write the output: {why}")
        self.reader_left = isinstance(error, BrokenPipeError)
        """Whether the reader of a pipe left, as `head` does: it has what it wanted, so there is nothing to say."""


def guard() -> None:
    """From now on, standard output raises OutputError, and what cannot be written to standard error is dropped."""
    sys.stdout = _over(_Output, sys.stdout)
    sys.stderr = _over(_Errors, sys.stderr)


def abandon(stream: TextIO) -> None:
    """Send what Python still holds for a stream to /dev/null, because it would fail at exit otherwise."""
    with suppress(OSError):  # a stream without a file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputError(error) from error


class _Errors(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data).cast("B"))


def _over(kind: type[io.FileIO], stream: TextIO) -> TextIO:
    """A stream like this one, over a file of this kind."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # somebody put another in its place
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
