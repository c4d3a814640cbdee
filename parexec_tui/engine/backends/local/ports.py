"""Whether a port of this machine is free."""

import errno
import socket
from collections.abc import Mapping

from parexec_tui.core.plan.resources import Units


class PortsTakenError(OSError):
    """Ports that a process was to have belong to others; `taken`, by resource, are those."""

    def __init__(self, taken: dict[str, Units]) -> None:
        ports = [port for units in taken.values() for port in units]
        super().__init__(f"port {', '.join(ports)} is in use by another program")
        self.taken = taken


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
