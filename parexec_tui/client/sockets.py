"""How a client reaches an engine: the socket, and the terminal and host of the person who asks."""

import os
import socket
from contextlib import suppress

from parexec_tui.client.framing import EngineGone, RemoteProtocolError
from parexec_tui.client.peer import peer_uid, signature
from parexec_tui.paths import noted_socket
from parexec_tui.trust import UntrustedError

TIMEOUT = 10.0
"""Seconds that an engine may take to answer: it commits within 50 ms, but hosts can be busy and disks slow."""


def connect(session: str, timeout: float) -> socket.socket:
    """A connection to the engine of a session, by its full id. `timeout`: seconds, also of the socket from then on.

    Raises EngineGone; RemoteProtocolError if another user listens there.
    """
    try:
        path = noted_socket(session)
    except UntrustedError as error:
        raise RemoteProtocolError(str(error)) from None
    if path is None:
        raise EngineGone(f"no engine runs session {session}")
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.settimeout(timeout)
        connected.connect(bytes(path))
        uid = peer_uid(connected)
    except OSError as error:
        connected.close()
        raise EngineGone(f"no engine runs session {session}: {path}: {error.strerror or error}") from None
    if uid != os.getuid():
        connected.close()
        raise RemoteProtocolError(f"{path} belongs to a process of user {uid}, not to an engine of yours")
    return connected


def client_origin() -> str:
    """Where the person sits: the terminal, and the host they came from over SSH. The engine adds the user."""
    ssh_host = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    for number in (0, 1, 2):
        with suppress(OSError):
            tty = os.ttyname(number).removeprefix("/dev/")
            return f"{tty} from {ssh_host}" if ssh_host else tty
    return ssh_host or socket.gethostname()


def own_signature() -> str:
    """How an engine signs what is asked from here."""
    return signature(client_origin())
