"""The line in which a failed attempt says what went wrong: the last line that the key `E` finds near its end.

Of some lines that `E` finds, another line says more. A build tool ends with a line that only repeats that a command
failed (`make: *** [all] Error 1`): the line before it that is no such line is taken. A line in which a shell names a
signal is never taken: the reason of the end does that. A traceback of Python whose exception has no `Error` in its
name ends with a line that `E` does not find: that line is taken.

If nothing tells of an error, it is the last line that is not blank.
"""

import re

from parexec_tui.outputs.log_lines import MAX_UNCUT, final_state
from parexec_tui.outputs.output import Output
from parexec_tui.text.log_text import decoded, line_text
from parexec_tui.text.search_terms import ERRORS

MAX_LENGTH = 200
"""Characters of an error line."""

LOOKED_AT = 64 * 1024
"""Bytes at the end of a log among which the line is looked for."""

_MAX_TRIED = 200
"""Lines that are decoded at most. Only a log that is full of words like `failover` has so many that are in vain."""

_END = 4096
"""Bytes at the end among which the last line is looked for that is not blank."""

_BEFORE, _AFTER = 1024, 3072
"""Bytes around the word, of a line that is very long."""

_LEAD = 40
"""Characters that stay before the word, if the line has to be cut before it."""

_REPETITION = re.compile(
    r"(?:\S*make(?:\[\d+\])?: \*\*\* .*\bError \d+"
    r"|ninja: (?:build stopped|error: rebuilding|subcommand failed)"
    r"|error: could not compile .* due to \d+ previous error"
    r"|error: aborting due to "
    r"|(?:Some errors have detailed explanations|For more information about (?:an|this) error)\b"
    r"|error: (?:script|command|recipe) .*\b(?:exited with|failed)"
    r"|collect2: error: ld returned \d+ exit status"
    r"|npm (?:ERR!|error) (?:A complete log|code |errno |path |command )"
    r"|(?:error|ERROR|Error): (?:Job failed|Process completed with exit code)"
    r"|\d+ errors? generated)"
)
"""What only says that something before it failed."""

_SIGNAL = re.compile(r"(?:.*: line \d+: +\d+ )?(?:Killed|Terminated|Hangup|Aborted|Segmentation fault)\b")
"""What a shell says of a signal. The reason of the end does, too; and that parexec itself sent it is no failure."""

TERMINATED = re.compile(r"(?:.*: line \d+: +\d+ Terminated\b.*|Terminated)\s*")
"""What a shell says last of a command that TERM ended, by which attempts are asked to end."""

_TRACEBACK = "Traceback (most recent call last)"


def error_line_of(output: Output) -> str:
    """The error line of an output. Raises OSError."""
    data = output.tail(LOOKED_AT)
    return error_line(data, begins=len(data) < LOOKED_AT)


def error_line(data: bytes, *, begins: bool) -> str:
    """The error line of a log that ends with these bytes, safe to print; empty if there is no text in them.

    `begins`: a line begins with them. Of a line that does not, what is there is not taken for a line.
    """
    if not begins:
        data = data[data.find(b"\n") + 1 :]
    return _last_match(data) or _last_text(data)


def _last_match(data: bytes) -> str:
    """The last line that tells of an error; empty if there is none.

    If all of them only repeat it, the line before them, whatever it says; if there is none, the last of them.
    """
    raw = data.lower()
    found = {stem: raw.rfind(stem) for stem in ERRORS.stems}
    repetition, before = "", len(data)
    for _ in range(_MAX_TRIED):
        at = max(found.values())
        if at < 0:
            break
        begin, end = _line_around(data, at)
        if (match := ERRORS.pattern.search(text := _text(data[begin:end], at - begin))) is not None:
            if text.lstrip().startswith(_TRACEBACK) and (last := _last_of_traceback(data, end)):
                return last
            is_signal = _SIGNAL.match(text) is not None
            if _REPETITION.match(text) is None and not is_signal:
                return _cut(text, match.start())
            if not repetition and not is_signal:
                repetition, before = _cut(text, match.start()), begin
        for stem, where in found.items():
            if where >= begin:
                found[stem] = raw.rfind(stem, 0, begin)
    return repetition and _last_text(data[:before], repetition)


def _line_around(data: bytes, at: int) -> tuple[int, int]:
    end = data.find(b"\n", at)
    return data.rfind(b"\n", 0, at) + 1, end if end >= 0 else len(data)


def _text(line: bytes, at: int) -> str:
    """The text of a line, of a very long one that around an offset; empty if it is no text, or was rewritten."""
    state = final_state(line)
    at -= len(line) - len(state)
    if at < 0:
        return ""
    if len(state) > MAX_UNCUT:
        state = state[max(0, at - _BEFORE) : at + _AFTER]
    return "" if decoded(state).binary else line_text(state)


def _last_of_traceback(data: bytes, end: int) -> str:
    """The exception that ends a traceback: the first line below it that is not indented; empty if there is none."""
    for line in data[end + 1 : end + 1 + MAX_UNCUT].split(b"\n"):
        if line.strip() and not line[:1].isspace():
            return _cut(_text(line, 0), 0)
    return ""


def _last_text(data: bytes, repetition: str = "") -> str:
    """The last line that is not blank and tells more than a signal; one that only repeats an error, this one first,
    if there is no other."""
    for line in reversed(data[-_END:].split(b"\n")):
        if line.strip() and (text := _cut(_text(line, len(line) - 1), 0)):
            if _SIGNAL.match(text):
                continue
            if _REPETITION.match(text) is None:
                return text
            repetition = repetition or text
    return repetition


def _cut(text: str, at: int) -> str:
    """The text in MAX_LENGTH characters, with what stands at `at`, and without what is only there to align it."""
    begin = max(0, at - _LEAD) if at >= MAX_LENGTH // 2 and len(text) > MAX_LENGTH else 0
    said = " ".join(text[begin : begin + 4 * MAX_LENGTH].split())
    if begin:
        said = f"...{said}"
    return said if len(said) <= MAX_LENGTH else f"{said[: MAX_LENGTH - 3]}..."
