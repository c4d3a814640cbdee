"""Who is at the other end of a Unix socket, and how what they ask for is signed."""

import os
import pwd
import socket
import struct

_MAX_SIGNATURE = 64
"""Letters."""

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


def peer_uid(connected: socket.socket) -> int:
    """The user at the other end, according to the kernel. Raises OSError."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return _getpeereid(connected)
    _, uid, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(uid)


def _getpeereid(connected: socket.socket) -> int:
    """The same on macOS and the BSDs."""
    import ctypes

    uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getpeereid(connected.fileno(), ctypes.byref(uid), ctypes.byref(gid)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return uid.value


def signature(origin: str) -> str:
    """`user@origin`: how a request is signed. The user is the one whose processes alone may connect."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may have no name for its user
        user = str(os.getuid())
    plain = "".join(letter for letter in origin if letter.isprintable()).strip()
    return (f"{user}@{plain}" if plain else user)[:_MAX_SIGNATURE]
