"""What the CLIs printed, trimmed: Claude Code 2.1.332, Codex 0.171.0, Gemini CLI 0.61.0, OpenCode 1.18.33."""

from pathlib import Path

from parexec_tui.agents.facts import Fact
from parexec_tui.agents.streams.claude import ClaudeReader
from parexec_tui.agents.streams.codex import CodexReader
from parexec_tui.agents.streams.gemini import GeminiReader
from parexec_tui.agents.streams.opencode import OpencodeReader
from parexec_tui.agents.streams.reader import Exit, Reader

FOLDER = Path(__file__).parent / "recordings"

READERS: dict[str, type[Reader]] = {
    "claude": ClaudeReader,
    "codex": CodexReader,
    "gemini": GeminiReader,
    "opencode": OpencodeReader,
}

NOW = 1795903000.0
"""A time shortly after they were made: 2026-11-28 21:56:40 UTC."""


def lines_of(name: str) -> list[str]:
    """What a CLI printed: `claude/tool`."""
    return (FOLDER / f"{name}.jsonl").read_text().splitlines()


def errors_of(name: str) -> list[str]:
    path = FOLDER / f"{name}.stderr"
    return path.read_text().splitlines() if path.exists() else []


def reader_of(name: str) -> Reader:
    return READERS[name.split("/")[0]]()


def read(name: str, code: int, *, lines: list[str] | None = None) -> tuple[list[Fact], Fact, Reader]:
    """The facts of a recording, the verdict, and who read it."""
    reader = reader_of(name)
    facts = [each for line in (lines_of(name) if lines is None else lines) for each in reader.read(line)]
    facts += [each for line in errors_of(name) for each in reader.read_error(line)]
    return facts, reader.end(Exit(code, NOW)), reader
