"""Answers of persons to coding agents that wait for them: a line each, in a file that the minder looks at.

An agent hears them whether or not an engine is there.
"""

import json
import os


def write_answer(file: str, question: str, answer: str) -> None:
    """Add an answer to those that a minder reads. A line that a full disk cut is ended first. Raises OSError."""
    line = json.dumps({"id": question, "answer": answer}) + "\n"
    with open(file, "a+b", opener=_private) as out:
        if out.seek(0, os.SEEK_END) and os.pread(out.fileno(), 1, out.tell() - 1) != b"\n":
            line = f"\n{line}"
        out.write(line.encode())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
