"""The placeholders in the command of an agent type."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from parexec_tui.core.plan.braces import fill_braces
from parexec_tui.core.plan.resources import Units
from parexec_tui.core.plan.ticket import Ticket

_BRACED = re.compile(r"(?<!\$)\{([A-Za-z0-9_][A-Za-z0-9_.-]*)\}")
"""A name in braces: of a placeholder, or of a resource. `${name}` is a variable of the shell."""

_NO_UNITS: Mapping[str, Units] = {}


def fill(
    command: Sequence[str],
    ticket: Ticket,
    *,
    id_: str,
    attempt: int,
    workdir: str,
    note: str = "",
    prompt_file: str = "",
    units: Mapping[str, Units] = _NO_UNITS,
) -> tuple[str, ...]:
    """The command with its placeholders filled in for an attempt of a ticket, whose own command has its units.
    Other words in braces stay.

    `units`: by resource those that it has, which are placeholders as well. `prompt_file`: absolute.
    """
    values: Mapping[str, str] = {
        **{name: write_given(each) for name, each in units.items()},
        "run": ticket.run,
        "prompt": ticket.prompt,
        "prompt_file": prompt_file,
        "ticket": id_,
        "attempt": str(attempt),
        "workdir": workdir,
        "note": note,
    }
    return tuple(_BRACED.sub(lambda found: values.get(found[1], found[0]), word) for word in command)


def fill_units(text: str, units: Mapping[str, Units]) -> str:
    """A shell command with `{port}` filled in, for each resource of which the attempt has units; `${port}` stays, and
    `{{port}}` becomes `{port}`."""
    return fill_braces(text, units.__contains__, lambda name: write_given(units[name])) if units else text


def write_given(units: Units) -> str:
    """Units as a command is told them: `0,1`."""
    return ",".join(units)


_POSIX_SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "mksh", "yash", "zsh"))


def is_posix_shell(words: Sequence[str]) -> bool:
    """Whether a command starts a shell that reads the language of sh, as far as its name tells."""
    return posixpath.basename(words[0]) in _POSIX_SHELLS


def words_in_braces(text: str) -> Iterator[str]:
    """The names that look like placeholders, each once, whether they are or not. `{0}` does not."""
    return iter(dict.fromkeys(name for name in _BRACED.findall(text) if not name[0].isdigit()))
