"""What a ticket requires, looked for on the host where it is to run: commands, their versions, variables.

Files are looked for here: hosts share them.
"""

import posixpath
import shlex
from collections.abc import Mapping

from msgspec import Struct

from parexec_tui.core.plan.requirements import Requirements, parse_command, version_in
from parexec_tui.engine.backends.local.requirements import RequirementLooker, Version

_PRINTED = 4096
"""Bytes of what a command says of its version that are looked at."""

_SAYS_NOTHING = "it tells no number with `--version`"


def look_script(wanted: Requirements) -> str:
    """A shell script that prints what there is of what is wanted, for `OnHost`."""
    lines = []
    for text in dict.fromkeys(wanted.commands):
        command = parse_command(text)
        name = shlex.quote(command.name)
        lines.append(f"p=$(command -v {name}) || p=; printf '\\0%s\\0' \"$p\"")
        if command.least:
            lines.append(f'[ -z "$p" ] || "$p" --version </dev/null 2>&1 | head -c {_PRINTED}')
    lines += [
        f'printf "\\0%s" "${{{name}:+x}}"; printf "\\0%s" "${{{name}+x}}"' for name in dict.fromkeys(wanted.env)
    ]
    return "\n".join(lines)


class _Found(Struct, frozen=True):
    path: str
    """Empty: there is no such command."""
    printed: str


class OnHost(RequirementLooker):
    """Looks for what is required where a script has looked."""

    def __init__(self, wanted: Requirements, printed: bytes) -> None:
        """`printed`: by `look_script`. Raises ValueError if that is not whole."""
        super().__init__()
        parts = printed.decode(errors="replace").split("\0")[1:]
        commands, variables = list(dict.fromkeys(wanted.commands)), list(dict.fromkeys(wanted.env))
        if len(parts) != 2 * len(commands) + 2 * len(variables):
            raise ValueError("its host does not tell what is there of what it requires")
        pairs = [_Found(*parts[at : at + 2]) for at in range(0, len(parts), 2)]
        names = [parse_command(text).name for text in commands]
        self._found = dict(zip(names, pairs, strict=False))
        self._printed: dict[str, str] = {}
        """{path: what it said of its version}"""
        self.variables = {
            name: is_filled for name, (is_filled, is_set) in _variables(variables, pairs[len(commands) :]) if is_set
        }
        """Those that are required and are set there, with something or nothing in them."""

    def _which(self, name: str, cwd: str, env: Mapping[str, str]) -> str | None:  # noqa: ARG002 - as in the base
        found = self._found[name]
        self._printed[posixpath.join(cwd, found.path)] = found.printed
        return found.path or None

    def _version(self, path: str, env: Mapping[str, str], cwd: str) -> Version:  # noqa: ARG002 - as in the base
        number = version_in(self._printed[path])
        return Version(number) if number else Version("", _SAYS_NOTHING)


def _variables(names: list[str], pairs: list[_Found]) -> list[tuple[str, tuple[str, str]]]:
    return [(name, (pair.path, pair.printed)) for name, pair in zip(names, pairs, strict=True)]
