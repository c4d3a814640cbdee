"""The engine's socket: clients are let in here, and each gets a connection to the hub of the session."""

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import trio

from parexec_tui.core.rules.preview import preview
from parexec_tui.engine import descriptors
from parexec_tui.engine.coordinator import Coordinator
from parexec_tui.engine.measure.end import EndKeeper
from parexec_tui.engine.measure.progress import with_progress
from parexec_tui.engine.serve.connection import Connection
from parexec_tui.engine.serve.hub import Hub
from parexec_tui.engine.serve.sockets import open_socket
from parexec_tui.paths import note_socket, session_folder, socket_files
from parexec_tui.text.questions import answer

_LOOK_AFTER_SOCKET = 2.0
"""Seconds between two checks that the socket is still there: logout removes the runtime folder of a user."""


class Server:
    """Listens for the clients of one session."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._socket: tuple[Path, int] | None = None
        """Path and inode."""

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. If there can be no socket now, say so, and make it as soon as there can be."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hub.spread_news)
            try:
                listener = self._listen()
            except OSError as error:
                self._hub.notice(
                    f"no other shell can watch or steer this session: {error}; "
                    f"trying again every {_LOOK_AFTER_SOCKET:g}s"
                )
                task_status.started()
                listener = await self._listen_again()
                self._hub.notice("other shells can watch and steer this session now")
            else:
                task_status.started()
            try:
                while True:
                    await self._accept_until_gone(nursery, listener)
                    listener = await self._listen_again()
            finally:
                listener.close()
                self._remove_socket()

    def _listen(self) -> trio.socket.SocketType:
        trouble: OSError | None = None
        if not session_folder(self._hub.session).path.is_dir():  # it was removed, and is not to be made again
            raise FileNotFoundError(errno.ENOENT, "the folder of the session is gone")
        for path in socket_files(self._hub.session):
            listener = None
            try:
                listener = open_socket(path)
                note_socket(self._hub.session, path)
                self._socket = path, path.stat().st_ino
            except OSError as error:
                trouble = trouble or error
                if listener is not None:
                    listener.close()
                continue
            return trio.socket.from_stdlib_socket(listener)
        raise trouble or FileNotFoundError(errno.ENOENT, "there is no place for a socket")

    async def _listen_again(self) -> trio.socket.SocketType:
        while True:
            with suppress(OSError):
                return self._listen()
            await trio.sleep(_LOOK_AFTER_SOCKET)

    def _is_there(self) -> bool:
        assert self._socket is not None
        path, inode = self._socket
        try:
            return path.stat().st_ino == inode and session_folder(self._hub.session).socket_note.exists()
        except OSError:
            return False

    def _remove_socket(self) -> None:
        if self._socket is not None and self._is_there():
            with suppress(OSError):
                session_folder(self._hub.session).socket_note.unlink()
                self._socket[0].unlink()

    async def _accept_until_gone(self, nursery: trio.Nursery, listener: trio.socket.SocketType) -> None:
        """Take clients until somebody removed the socket."""
        async with trio.open_nursery() as accepting:
            accepting.start_soon(self._accept, nursery, listener)
            while self._is_there():  # noqa: ASYNC110 - nothing tells us
                await trio.sleep(_LOOK_AFTER_SOCKET)
            accepting.cancel_scope.cancel()
        listener.close()

    async def _accept(self, nursery: trio.Nursery, listener: trio.socket.SocketType) -> None:
        while True:
            try:
                accepted, _ = await listener.accept()
            except OSError:  # out of descriptors or memory, or the client is gone already
                await trio.sleep(0.1)
                continue
            if descriptors.is_short(accepted.fileno(), descriptors.RESERVE // 2):
                accepted.close()
                continue
            connection = Connection(self._hub, trio.SocketStream(accepted))
            nursery.start_soon(connection.serve)


async def open_server(
    nursery: trio.Nursery,
    coordinator: Coordinator,
    session: str,
    registry_file: Path,
    notice: Callable[[str], None],
    end: EndKeeper,
) -> Hub:
    """Serve what this coordinator runs, from now on and until the nursery ends."""
    hub = Hub(
        session,
        registry_file,
        ask=coordinator.ask,
        dry_run=coordinator.dry_run,
        question=lambda asked: answer(coordinator.state, asked, coordinator.clock.now(), coordinator.trouble),
        last_seq=lambda: coordinator.last,
        preview_lines=lambda events: tuple(preview(coordinator.state, events).lines()),
        look=coordinator.look,
        notice=notice,
        with_progress=lambda report: with_progress(report, coordinator.state, end),
    )
    coordinator.publish, coordinator.warn = hub.publish, hub.warn
    await nursery.start(Server(hub).serve)
    return hub
