"""Whether something answers at an address: a port that accepts connections, or a server that answers a GET.

Whether one could listen at a port is asked in `ports`.
"""

import re
import ssl

import trio

from parexec_tui.core.plan.services import HttpReady, TcpReady, parse_ready
from parexec_tui.engine.backends.local.ports import PortsTakenError

ANSWERS_WITHIN = 2.0
"""Seconds in which an answer must come."""

_MAX_LINE = 1024
"""Bytes of the first line of an answer that are looked at."""

_status = re.compile(rb"HTTP/[0-9.]+ (?P<code>[0-9]{3})[ \r\n]").match


async def answers(address: TcpReady | HttpReady) -> bool:
    """Ask once. Of a server with TLS the certificate is not checked: it is only asked whether it is there."""
    with trio.move_on_after(ANSWERS_WITHIN):
        try:
            stream = await trio.open_tcp_stream(address.host, address.port)
            async with stream:
                if stream.socket.getsockname() == stream.socket.getpeername():
                    return False  # Linux may connect a free port to itself
                return isinstance(address, TcpReady) or await _answers_get(stream, address)
        except (OSError, trio.BrokenResourceError, ssl.SSLError):
            return False
    return False


async def refuse_answered(ready: str) -> None:
    """Raise PortsTakenError if somebody answers already where a service is to answer, before it is started.

    `ready`: of the service; what it says of other machines, or without an address, is not looked at.
    """
    address = parse_ready(ready)
    if not isinstance(address, TcpReady | HttpReady) or not _is_here(address.host):
        return
    if await answers(TcpReady(address.host, address.port)):
        raise PortsTakenError((str(address.port),), {})


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")


async def _answers_get(stream: trio.SocketStream, address: HttpReady) -> bool:
    host = f"[{address.host}]" if ":" in address.host else address.host
    request = (
        f"GET {address.target} HTTP/1.1\r\nHost: {host}:{address.port}\r\nAccept: */*\r\n"
        "User-Agent: parexec\r\nConnection: close\r\n\r\n"
    )
    connection: trio.SocketStream | trio.SSLStream[trio.SocketStream] = stream
    if address.is_tls:
        connection = trio.SSLStream(stream, _any_certificate(), server_hostname=address.host)
    await connection.send_all(request.encode())
    answer = b""
    while b"\n" not in answer and len(answer) < _MAX_LINE:
        if not (more := await connection.receive_some(_MAX_LINE)):
            break
        answer += more
    found = _status(answer)
    return found is not None and 200 <= int(found["code"]) < 400


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
