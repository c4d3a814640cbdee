"""The placeholders in the command of an agent type."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from parexec_tui.core.plan.model import PLACEHOLDERS, Ticket

_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")

_WORD = re.compile(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_-]*)\}")
"""A name in braces that a shell would not take for a variable."""


def fill(
    command: Sequence[str], ticket: Ticket, *, id_: str, attempt: int, workdir: str, note: str = ""
) -> tuple[str, ...]:
    """The command with its placeholders filled in for an attempt of a ticket. Other words in braces stay."""
    values: Mapping[str, str] = {
        "run": ticket.run,
        "prompt": ticket.prompt,
        "ticket": id_,
        "attempt": str(attempt),
        "workdir": workdir,
        "note": note,
    }
    return tuple(_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in command)


_POSIX_SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "mksh", "yash", "zsh"))


def is_posix_shell(words: Sequence[str]) -> bool:
    """Whether a command starts a shell that reads the language of sh, as far as its name tells."""
    return posixpath.basename(words[0]) in _POSIX_SHELLS


def words_in_braces(text: str) -> Iterator[str]:
    """The names that look like placeholders, each once, whether they are or not."""
    return iter(dict.fromkeys(_WORD.findall(text)))
