"""`each`: a command, its inputs and the placeholders of GNU parallel become the tickets of a plan."""

import json
import os
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from parexec_tui.core.plan.quoting import quote_at

FAMILY = "each"
"""The family of all tickets; of a ticket, `input` is what it was made for: `each[input=a.svg]`."""

SEPARATORS = ("--", ":::")
"""Before the inputs on a command line."""

_PLACEHOLDER = re.compile(r"\{(//|/\.|/|\.|#|)\}")
_OTHERS = re.compile(r"\{(%|-?\d+[./]*)\}")
"""Placeholders of GNU parallel that are none here."""

_MAX_SLUG = 40
_MAX_NAME = 60


class InputError(Exception):
    """The inputs or the command cannot be used. The text says why, and what to do."""


class Job(NamedTuple):
    """A command for an input."""

    id: str
    input: str
    run: str


def split(words: Sequence[str]) -> tuple[str, list[str] | None]:
    """The command, and the inputs behind the first separator; None: they do not stand there.

    Words of a command are joined with blanks, as GNU parallel does.
    """
    at = next((number for number, word in enumerate(words) if word in SEPARATORS), len(words))
    command, rest = " ".join(words[:at]), list(words[at + 1 :])
    if not command.strip():
        raise InputError("there is no command: parexec each 'gzip {}' -- *.txt")
    if ":::" in rest:
        raise InputError("there is one list of inputs; combinations of several: `matrix` in a plan")
    return command, None if at == len(words) else rest


def inputs_in(data: bytes, *, are_null_ended: bool) -> list[str]:
    """The inputs in a file, one a line, or each ended by a NUL. Raises InputError."""
    end = b"\0" if are_null_ended else b"\n"
    parts = data.split(end)
    if not parts[-1]:
        parts.pop()
    found = []
    for number, part in enumerate(parts, 1):
        if b"\0" in part:
            raise InputError(f"input {number} has a NUL in it: with inputs that end with NUL, add -0")
        try:
            found.append(part.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InputError(f"input {number} is not UTF-8: {part[:60]!r}") from error
    return found


def check_words(words: Sequence[str]) -> None:
    """Raise InputError for a word of the command line that is not UTF-8."""
    for word in words:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{os.fsencode(word)!r} is not UTF-8") from error


def jobs(command: str, inputs: Sequence[str]) -> Iterator[Job]:
    """The commands. A command without a placeholder gets the input as its last word. Raises InputError."""
    if (other := _OTHERS.search(command)) is not None:
        why = "the number of a job is {#}" if other[1] == "%" else "there is one list of inputs: write {}"
        raise InputError(f"{other[0]} means nothing here: {why}")
    for found in _PLACEHOLDER.finditer(command):
        if found[1] != "#" and (quote := quote_at(command, found.start())):
            raise InputError(
                f"{found[0]} stands within {quote}, and is quoted itself, which ends that: leave the quotes out "
                f"(done/{{}}), or hand it over: sh -c 'echo \"$1\"' sh {{}}"
            )
    if _PLACEHOLDER.search(command) is None:
        command = f"{command} {{}}"
    for number, text in enumerate(inputs, 1):
        yield Job(_id(number, text), text, _filled(command, number, text))


def _filled(command: str, number: int, text: str) -> str:
    def value(found: re.Match[str]) -> str:
        return str(number) if found[1] == "#" else shlex.quote(part_of(text, found[1]))

    return _PLACEHOLDER.sub(value, command)


def part_of(text: str, part: str) -> str:
    """What `{.}`, `{/}`, `{//}` and `{/.}` stand for; `part` is what is in the braces, nothing: all of it."""
    match part:
        case ".":
            return _without_ending(text)
        case "/":
            return posixpath.basename(text)
        case "//":
            return posixpath.dirname(text) or "."
        case "/.":
            return _without_ending(posixpath.basename(text))
        case _:
            return text


def _without_ending(text: str) -> str:
    return re.sub(r"\.[^/.]*\Z", "", text)


def _id(number: int, text: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9_.]+|\.{2,}", "-", text[:_MAX_SLUG]).strip("-.")
    return f"{number}-{slug}" if slug else str(number)


def document(made: Sequence[Job], command: str, settings: Mapping[str, Any], keys: Mapping[str, Any]) -> str:
    """A plan of these jobs, as JSON. `settings`: more of its `[plan]` table; `keys`: what all tickets have."""
    name = " ".join(command.split())
    name = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
    tickets = {
        job.id: {
            "run": job.run,
            "title": " ".join(job.input.split()),
            "family": FAMILY,
            "member": {"input": job.input},
        }
        for job in made
    }
    return json.dumps({"plan": {"name": name, **settings}, "defaults": dict(keys), "tickets": tickets})
