"""Whether a port of this machine is free."""

import errno
import socket
from collections.abc import Mapping

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.plan.services import HttpReady, TcpReady, parse_ready

_ANSWERS_WITHIN = 1.0
"""Seconds in which a program of this machine accepts a connection."""


class PortsTakenError(OSError):
    """Ports that a process was to have belong to others; `taken`, by resource, are those that are units of one."""

    def __init__(self, ports: Units, taken: dict[str, Units]) -> None:
        super().__init__(f"port {', '.join(ports)} is in use by another program")
        self.taken = taken


def refuse_taken(ports: Mapping[str, Units], ready: str) -> None:
    """Raise PortsTakenError if somebody has one of these ports, or answers already where a service is to answer.

    `ready`: of a service; what it says of other machines, or without an address, is not looked at.
    """
    if taken := taken_of(ports):
        raise PortsTakenError(tuple(port for units in taken.values() for port in units), taken)
    address = parse_ready(ready)
    if isinstance(address, TcpReady | HttpReady) and _is_here(address.host) and _answers(address.host, address.port):
        raise PortsTakenError((str(address.port),), {})


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_ANSWERS_WITHIN) as stream:
            return bool(stream.getsockname() != stream.getpeername())  # Linux may connect a free port to itself
    except OSError:
        return False


def taken_of(ports: Mapping[str, Units]) -> dict[str, Units]:
    """Those of these ports, by resource, that somebody has."""
    found = {name: taken_ports(units) for name, units in ports.items()}
    return {name: units for name, units in found.items() if units}


def taken_ports(ports: Units) -> Units:
    """Those of these ports that somebody listens at. TCP of IPv4 and of IPv6 is tried, on all addresses."""
    return tuple(port for port in ports if any(_is_taken(family, int(port)) for family in _FAMILIES))


_FAMILIES = (socket.AF_INET, socket.AF_INET6) if socket.has_ipv6 else (socket.AF_INET,)


def _is_taken(family: socket.AddressFamily, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # A port whose last connection has just been closed can be listened at with this, as servers do.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(("", port))
            probe.listen(1)
    except OSError as error:  # another reason says nothing about who has it: no such family, a port below 1024
        return error.errno == errno.EADDRINUSE
    return False
