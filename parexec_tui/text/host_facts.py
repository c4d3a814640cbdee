"""The hosts of a session as facts."""

from math import isinf

from parexec_tui.core.plan.hosts import LOCAL_NAME
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import HostFact


def host_facts(state: SessionState) -> list[HostFact]:
    """The other machines, in the order of the plan."""
    return [host_fact(state, host) for host in state.hosts.values()]


def host_fact(state: SessionState, host: HostState) -> HostFact:
    over = ((id_, state.lease_over(state.tickets[id_])) for id_ in host.live)
    return HostFact(
        name=host.name,
        status=host.status,
        since=host.since or None,
        problem=host.problem,
        running=list(host.live),
        slots=host.slots,
        cpus=host.cpus,
        memory=host.memory,
        python=host.python,
        skew=host.skew,
        held=host.held,
        draining=host.draining,
        leases={id_: None if isinf(at) else at for id_, at in over if at is not None},
    )


def this_machine(state: SessionState) -> HostFact:
    """The same of the one that the engine runs on."""
    return HostFact(
        name=LOCAL_NAME,
        status="reachable",
        running=[id_ for id_ in state.live if id_ not in state.live_on],
        slots=state.slots,
    )
