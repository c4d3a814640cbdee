"""Whether a port of this machine is free: whether one could listen at it.

That is not the same as whether somebody answers, which `answers` finds out. Who is given a port may listen at any
address of this machine; a service has one address at which the tickets that use it will knock.
"""

import errno
import socket
from collections.abc import Mapping

from parexec_tui.core.plan.resources import Units


class PortsTakenError(OSError):
    """Ports that a process was to have belong to others; `taken`, by resource, are those that are units of one."""

    def __init__(self, ports: Units, taken: dict[str, Units]) -> None:
        super().__init__(f"port {', '.join(ports)} is in use by another program")
        self.taken = taken


def refuse_taken(ports: Mapping[str, Units]) -> None:
    """Raise PortsTakenError if somebody has one of these ports."""
    found = {name: taken_ports(units) for name, units in ports.items()}
    if taken := {name: units for name, units in found.items() if units}:
        raise PortsTakenError(tuple(port for units in taken.values() for port in units), taken)


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
