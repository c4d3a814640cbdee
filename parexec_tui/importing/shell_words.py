"""What commands do to the shell that runs them."""

import re

_OF_SHELL = re.compile(
    r"(?:^|[\s;&|(])(?:cd|pushd|popd|exit|export|set|source|\.|exec|trap|shopt|umask|alias|unset|declare|readonly|eval)"
    r"(?=[\s;]|$)|^\s*\w+\+?=|\(\)\s*\{",
    re.MULTILINE,
)


def changes_shell(script: str) -> bool:
    """Whether commands after it may notice that it ran in the same shell; in doubt, yes."""
    return _OF_SHELL.search(script) is not None
