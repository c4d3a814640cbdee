"""What commands do to the shell that runs them."""

import re

_OF_SHELL = re.compile(
    r"(?:^|[\s;&|(])(?:cd|pushd|popd|exit|export|set|source|\.|exec|trap|shopt|umask|alias|unset|declare|readonly|eval)"
    r"(?=[\s;]|$)|^\s*\w+\+?=|\(\)\s*\{",
    re.MULTILINE,
)

_SIMPLE = re.compile(r"(?!(?:cd|exec|exit|export|set|shift|trap|ulimit|umask|unset|\.)\b)[\w./+-][\w./+,:@%= '\"-]*")
"""A line that leaves nothing behind in a shell that others could notice."""

_QUOTES = re.compile(r"""\\.|['"]""", re.DOTALL)


def changes_shell(script: str) -> bool:
    """Whether commands after it may notice that it ran in the same shell; in doubt, yes."""
    return _OF_SHELL.search(script) is not None


def in_own_shell(text: str, ignores: bool) -> str:
    """A line that had a shell of its own, beside others in one shell; `ignores`: it may fail."""
    alone = text if _SIMPLE.fullmatch(text) else f"(\n{text}\n)"
    return f"{{ {alone} || true; }}" if ignores else alone


def in_single_quotes(text: str) -> bool:
    """Whether a shell that has read this text is between single quotes, where it fills nothing in."""
    quote = ""
    for found in _QUOTES.finditer(text):
        if not quote:
            quote = found[0] if len(found[0]) == 1 else ""
        elif found[0] == quote or (quote == "'" and found[0].endswith("'")):
            quote = ""
    return quote == "'"
