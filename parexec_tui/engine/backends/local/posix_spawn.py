"""posix_spawn, called so that other threads run meanwhile.

`os.posix_spawn` keeps the interpreter's lock until the new process executes its program: a third of a millisecond on
a machine at rest, and several on a busy one. The engine could do other work in that time. The same function of the C
library, called through ctypes, releases the lock. Where that cannot be done, Python's function is used.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

OpenAction = tuple[int, str, int, int]
"""(descriptor, path, flags, mode): what to open in the new process, in order."""

SpawnFunction = Callable[[str, Sequence[str], Mapping[str, str], Sequence[OpenAction]], int]
"""Takes a program, its arguments, its environment and its descriptors; returns the pid. Standard error goes where
standard output does. The process leads a session of its own, and no signal is blocked or ignored in it. Raises
OSError, and ValueError for what cannot be passed on: a null byte, an illegal name of a variable."""

_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80
"""Flags of spawn.h, the same in glibc and musl."""

_DEFAULT_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

_INTERNAL_SIGNALS = (32, 33)
"""They belong to the C library, whose functions refuse them, and whose posix_spawn has them ignored unless told
otherwise."""

_OPAQUE = ctypes.c_long * 128
"""Room for any of the types of spawn.h: the largest has 336 bytes."""


def best_spawn() -> SpawnFunction:
    """The C library's, if it is one that we know; else Python's."""
    if sys.platform != "linux":
        return python_spawn
    try:
        return LibcSpawn()
    except (AttributeError, OSError):
        return python_spawn


def python_spawn(path: str, argv: Sequence[str], env: Mapping[str, str], opens: Sequence[OpenAction]) -> int:
    """See `SpawnFunction`. Keeps the interpreter's lock."""
    actions = [(os.POSIX_SPAWN_OPEN, *action) for action in opens]
    return os.posix_spawn(
        path,
        tuple(argv),
        env,
        file_actions=(*actions, (os.POSIX_SPAWN_DUP2, 1, 2)),
        setsid=True,
        setsigdef=_DEFAULT_SIGNALS,
        setsigmask=(),
    )


class LibcSpawn:
    """See `SpawnFunction`. Releases the interpreter's lock. May be called from several threads at once."""

    def __init__(self) -> None:
        """Raises AttributeError or OSError if the C library lacks one of the functions."""
        quick = ctypes.PyDLL(None)  # keeps the lock: these calls take less time than to release it
        self._init = quick.posix_spawn_file_actions_init
        self._add_open = quick.posix_spawn_file_actions_addopen
        self._add_dup2 = quick.posix_spawn_file_actions_adddup2
        self._destroy = quick.posix_spawn_file_actions_destroy
        self._spawn = ctypes.CDLL(None).posix_spawn
        self._attributes = _attributes(quick)

    def __call__(self, path: str, argv: Sequence[str], env: Mapping[str, str], opens: Sequence[OpenAction]) -> int:
        if any("=" in name for name in env):
            raise ValueError("illegal environment variable name")
        program, arguments = os.fsencode(path), _strings(argv)
        variables = _strings([f"{name}={value}" for name, value in env.items()])
        actions, pid = _OPAQUE(), ctypes.c_int()
        _check(self._init(actions))
        try:
            for fd, file, flags, mode in opens:
                _check(self._add_open(actions, fd, os.fsencode(file), flags, mode))
            _check(self._add_dup2(actions, 1, 2))
            _check(self._spawn(ctypes.byref(pid), program, actions, self._attributes, arguments, variables))
        finally:
            self._destroy(actions)
        return pid.value


def _attributes(libc: ctypes.PyDLL) -> "ctypes.Array[ctypes.c_long]":
    attributes, signals = _OPAQUE(), _OPAQUE()
    _check(libc.posix_spawnattr_init(attributes))
    libc.sigemptyset(signals)
    _check(libc.posix_spawnattr_setsigmask(attributes, signals))
    for number in _DEFAULT_SIGNALS:
        libc.sigaddset(signals, int(number))
    for internal in _INTERNAL_SIGNALS:
        word, bit = divmod(internal - 1, 8 * ctypes.sizeof(ctypes.c_long))
        signals[word] |= 1 << bit
    _check(libc.posix_spawnattr_setsigdefault(attributes, signals))
    _check(libc.posix_spawnattr_setflags(attributes, ctypes.c_short(_SETSIGDEF | _SETSIGMASK | _SETSID)))
    return attributes


def _strings(words: Sequence[str]) -> "ctypes.Array[ctypes.c_char_p]":
    """These as C has them, with a null pointer at the end."""
    encoded = os.fsencode("\0".join((*words, ""))).split(b"\0")
    if len(encoded) != len(words) + 1:
        raise ValueError("embedded null byte")
    return (ctypes.c_char_p * len(encoded))(*encoded[:-1])


def _check(error: int) -> None:
    if error:
        raise OSError(error, os.strerror(error))
