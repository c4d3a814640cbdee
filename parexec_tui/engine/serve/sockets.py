"""Opens a Unix socket to listen on, in place of a dead engine's if there is one."""

import errno
import socket
import stat
from pathlib import Path


def open_socket(path: Path) -> socket.socket:
    """Listen at this path, in place of a dead engine if there was one. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        try:
            listener.bind(bytes(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(path)
            listener.bind(bytes(path))
        path.chmod(0o600)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, str(path)) from None
    listener.setblocking(False)
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket of an engine that died. Raises OSError if it lives, or if this is no socket."""
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise OSError(errno.EEXIST, "there is something else in the place of the socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(bytes(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # its queue is full, so it lives
    raise OSError(errno.EADDRINUSE, "another engine listens there")
