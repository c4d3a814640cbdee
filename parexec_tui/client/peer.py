"""Who is at the other end of a Unix socket."""

import os
import socket
import struct

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
