"""Files with environment variables, as `env_file` names them.

What stands in them is given to processes and kept nowhere: such files tend to have what is nobody else's business.
"""

import os
from collections.abc import Mapping, Sequence

from parexec_tui.core.plan.reading.rules.commands import is_variable
from parexec_tui.core.plan.units import shown

_MAX_SIZE = 1 << 20


class EnvFileError(OSError):
    """A file with variables is missing, or is not what it should be. The text says which and where, and no value."""


def read_env_files(paths: Sequence[str]) -> dict[str, str]:
    """The variables of these files; of one that is in two of them, the later one counts. `path?` may be missing.

    Nothing is filled in: `$HOME` in a value is these five characters. Raises EnvFileError.
    """
    found: dict[str, str] = {}
    for path in paths:
        text = _text_of(path.removesuffix("?"), may_be_missing=path.endswith("?"))
        found |= _variables(text, path.removesuffix("?"))
    return found


def _text_of(path: str, *, may_be_missing: bool) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a pipe or a device is read as well, but not without end
            data = file.read(_MAX_SIZE + 1)
    except FileNotFoundError:
        if may_be_missing:
            return ""
        raise EnvFileError(f"env_file {path} does not exist") from None
    except OSError as error:
        raise EnvFileError(f"env_file {path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_SIZE:
        raise EnvFileError(f"env_file {path} has more than {_MAX_SIZE >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EnvFileError(f"env_file {path} is not UTF-8 (byte {error.start})") from None


def _variables(text: str, path: str) -> dict[str, str]:
    from io import StringIO

    from dotenv.parser import parse_stream  # not needed by most

    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        at = f"env_file {path}, line {binding.original.line}"
        if binding.error:
            raise EnvFileError(f"{at}: write NAME=VALUE; a value with spaces or a # stands in quotes")
        if binding.key is None or binding.value is None:  # a comment, or the name alone: as the environment has it
            continue
        if not is_variable(binding.key):
            raise EnvFileError(f"{at}: {shown(binding.key[:60])} is no name of an environment variable")
        if "\0" in binding.value:
            raise EnvFileError(f"{at}: a NUL character cannot be passed to a process")
        found[binding.key] = binding.value
    return found


def with_env_files(env: Mapping[str, str], own: Mapping[str, str], paths: Sequence[str]) -> dict[str, str]:
    """The environment of a process with what these files say; `own`: what goes before that. Raises EnvFileError."""
    more = read_env_files(paths)
    return {**env, **{name: value for name, value in more.items() if name not in own and not _is_ours(name)}}


def _is_ours(name: str) -> bool:
    return name.startswith("PAREXEC_") or name == "PWD"


def missing_env_file(path: str) -> str:
    """Why a file cannot be read as it is now; empty if it can."""
    try:
        read_env_files([path])
    except EnvFileError as error:
        return str(error)
    return ""


def is_there(path: str) -> bool:
    """Whether there is such a file, or it need not be there."""
    return path.endswith("?") or os.path.exists(path)  # noqa: PTH110
