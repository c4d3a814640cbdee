"""What commands do to the shell that runs them."""

import re

_OF_SHELL = re.compile(
    r"(?:^|[\s;&|(])(?:cd|pushd|popd|exit|export|set|source|\.|exec|trap|shopt|umask|alias|unset|declare|readonly|eval)"
    r"(?=[\s;]|$)|^\s*\w+\+?=|\(\)\s*\{",
    re.MULTILINE,
)

_SIMPLE = re.compile(r"(?!(?:cd|exec|exit|export|set|shift|trap|ulimit|umask|unset|\.)\b)[\w./+-][\w./+,:@%= '\"-]*")
"""A line that leaves nothing behind in a shell that others could notice."""


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
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif not quote and char == "#" and (at == 0 or text[at - 1].isspace()):
            end = text.find("\n", at)
            at = end if end >= 0 else len(text)
        at += 1
    return quote == "'"
