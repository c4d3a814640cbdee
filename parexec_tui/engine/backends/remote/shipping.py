"""How a node program gets to a host: over the same connection that it is then spoken to.

The command that is run there finds a Python, looks for the node program in the cache of the user by the hash of its
text, takes it from stdin if it is not there, and becomes it. A login shell of any kind runs the command, so there is
nothing in it that one of them reads in its own way: no line break, no `!`, no quotes within quotes.
"""

import shlex
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from parexec_tui.engine.backends.remote.frames import WANTED

NO_SUCH_PYTHON, NO_PYTHON, NO_PROGRAM = 96, 97, 98
"""What the bootstrap exits with if the Python that it is told is none, if it finds none, and if the program cannot be
put into the cache."""

_PYTHONS = (
    "python3 /usr/bin/python3 /usr/local/bin/python3 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8"
)

_FIND = (
    "for p in {pythons}; do "
    'if [ "$("$p" -I -c "import sys; print(sys.version_info >= (3, 8))" 2>/dev/null)" = True ]; then'
    ' exec "$p" -I -c "import sys; exec(bytes.fromhex(sys.argv[1]).decode())"'
    " {boot} {digest} {size} {how} {words}; fi;"
    " done; exit {missing}"
)

_BOOT = f"""
import hashlib, os, sys
digest, size, how, spool = sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
os.umask(0o077)
def under(variable, default, *names):
    home = os.environ.get(variable, "")
    return os.path.join(home if home.startswith("/") else os.path.join(os.path.expanduser("~"), default), *names)
path = under("XDG_CACHE_HOME", ".cache", "parexec", "node_" + digest + ".py")
if not spool.startswith("/"):
    spool = under("XDG_STATE_HOME", ".local/state", "parexec", "spool", spool)
def is_whole(data):
    return hashlib.sha256(data).hexdigest() == digest
try:
    with open(path, "rb") as file:
        found = is_whole(file.read())
except OSError:
    found = False
if not found:
    os.write(1, {WANTED!r})
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            sys.exit({NO_PROGRAM})
        data += more
    try:
        if not is_whole(data):
            raise OSError("the node program arrived damaged")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        new = path + "." + str(os.getpid())
        try:
            with open(new, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(new, path)
        finally:
            if os.path.exists(new):
                os.unlink(new)
    except OSError as error:
        sys.stderr.write("parexec: " + str(error) + "\\n")
        sys.exit({NO_PROGRAM})
run = "import sys; sys.path.insert(0, sys.argv[1]); import " + os.path.basename(path)[:-3] + " as node; "
run += "sys.exit(node.main(sys.argv[2:]))"
os.execv(sys.executable, [sys.executable, how, "-c", run, os.path.dirname(path), "serve", spool, *sys.argv[6:]])
"""
"""The program is imported, so that Python keeps it compiled: it begins faster, and is smaller."""


class Program(NamedTuple):
    """The text of a node program, or of what is one to the engine."""

    text: bytes
    digest: str
    needs_packages: bool
    """Whether it needs what is installed with the Python there; a process is smaller without."""


def program_of(text: bytes, *, needs_packages: bool) -> Program:
    """A program with the hash by which it is found again."""
    return Program(text, sha256(text).hexdigest(), needs_packages)


@lru_cache(1)
def node_program() -> Program:
    """The node program of this version."""
    return program_of(Path(__file__).with_name("node.py").read_bytes(), needs_packages=False)


def boot_command(
    spool: str,
    python: str = "",
    program: Program | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> str:
    """A command for any login shell that becomes the node program, or another one.

    `spool`: an absolute path, or a name in the state folder of the user there. `python`: this one and no other.
    `arguments`: what the program gets behind the spool. `env`: what is added to the environment there.
    """
    program = program or node_program()
    script = _FIND.format(
        pythons=shlex.quote(python) if python else _PYTHONS,
        missing=NO_SUCH_PYTHON if python else NO_PYTHON,
        boot=_BOOT.strip().encode().hex(),
        digest=program.digest,
        size=len(program.text),
        how="-I" if program.needs_packages else "-IS",
        words=shlex.join((spool, *arguments)),
    )
    more = shlex.join(("env", *(f"{name}={value}" for name, value in env.items()))) + " " if env else ""
    return f"exec {more}/bin/sh -c {shlex.quote(script)}"
