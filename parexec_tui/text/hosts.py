"""How the other machines stand on which agents run, in words: header, banner, the panel of agents, `status`."""

from collections.abc import Mapping, Sequence

from parexec_tui.core.plan.units import format_count
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.wire.protocol import HostFact
from parexec_tui.text.words import printable, short_duration

LOST = ("unreachable", "unusable")
"""How hosts stand that nothing can be started on, though a person did not ask for that."""

TONES: Mapping[str, str] = {"connecting": "dim", "reachable": "text", "unreachable": "warn", "unusable": "alert"}
"""The style of a host, by how it stands."""


def hosts_text(hosts: Sequence[HostFact], now: float) -> str:
    """All of them in a few words: `3 hosts, 1 unreachable for 40s`. Of several, the longest time is said."""
    parts = [format_count(len(hosts), "host")]
    if gone := [host for host in hosts if host.status == "unreachable"]:
        parts.append(f"{len(gone)} unreachable for {short_duration(max(_for(host, now) for host in gone))}")
    if bad := sum(host.status == "unusable" for host in hosts):
        parts.append(f"{bad} unusable")
    if new := sum(host.status == "connecting" for host in hosts):
        parts.append(f"{new} not reached yet")
    if held := sum(host.held is not None for host in hosts):
        parts.append(f"{held} held")
    return ", ".join(parts)


def is_any_lost(hosts: Sequence[HostFact]) -> bool:
    """Whether one is not reached any more, or cannot be used."""
    return any(host.status in LOST for host in hosts)


def standing_text(host: HostFact, now: float, me: str = "") -> str:
    """How a host stands: `unreachable for 40s`, `held by ann`; empty if all is well."""
    parts: list[str] = []
    match host.status:
        case "reachable":
            pass
        case "connecting":
            parts.append("not reached yet")
        case "unreachable":
            parts.append(f"unreachable for {short_duration(_for(host, now))}")
        case word:
            parts.append(word)
    if host.held is not None:
        parts.append(f"{'draining' if host.draining else 'held'}{by_whom(host.held, me)}")
    return printable(", ".join(parts))


def slots_text(host: HostFact) -> str:
    """How many tickets run there, and how many may: `2 of 4 slots`; the first alone where it was never reached."""
    running = len(host.running)
    return f"{running} of {format_count(host.slots, 'slot')}" if host.slots else f"{running} running"


def lease_text(host: HostFact, now: float) -> str:
    """When what runs on a host that is not reached may run elsewhere: `T7's lease ends in 4m20`; empty if nothing
    does."""
    if not host.leases:
        return ""
    ends = [over for over in host.leases.values() if over is not None]
    whose = f"{next(iter(host.leases))}'s lease" if len(host.leases) == 1 else f"{len(host.leases)} leases"
    if not ends:
        return printable(f"{whose} never {'ends' if len(host.leases) == 1 else 'end'}")
    left = f"in {short_duration(max(0.0, min(ends) - now))}"
    return printable(f"{whose} ends {left}" if len(host.leases) == 1 else f"{whose}, first ends {left}")


def lost_text(host: HostFact, ticket: str, now: float) -> str:
    """What becomes of a ticket that runs on a host which is not reached: `gpu-box unreachable for 40s; T7's lease
    there ends in 4m20, then it may run elsewhere`; empty if it is reached."""
    if ticket not in host.leases:
        return ""
    over = host.leases[ticket]
    ends = f"ends in {short_duration(max(0.0, over - now))}, then it may run elsewhere" if over else "never ends"
    return printable(f"{host.name} {standing_text(host, now)}; {ticket}'s lease there {ends}")


def problem_text(host: HostFact, now: float, me: str = "") -> str:
    """A host with what is wrong with it, and what becomes of what runs there; empty if nothing is."""
    if host.status not in LOST:
        return ""
    said = "; ".join(filter(None, (f"{host.name} {standing_text(host, now, me)}", lease_text(host, now))))
    return printable(f"{said}: {host.problem}" if host.problem else said)


def brief_text(host: HostFact, now: float) -> str:
    """The same in few words, for a narrow column: `unreachable 40s, lease 30m06`."""
    if host.status != "unreachable":
        return host.status
    ends = [over for over in host.leases.values() if over is not None]
    left = short_duration(max(0.0, min(ends) - now)) if ends else "never ends"
    return f"unreachable {short_duration(_for(host, now))}{f', lease {left}' if host.leases else ''}"


def _for(host: HostFact, now: float) -> float:
    return max(0.0, now - (now if host.since is None else host.since))
