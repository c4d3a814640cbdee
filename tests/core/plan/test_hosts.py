"""`[hosts]` of a plan: read, told in files of before, and what is wrong with them."""

from math import inf

import pytest
from msgspec import structs

from parexec_tui.core.plan.expanding.axes import look_nowhere
from parexec_tui.core.plan.expanding.including import read_no_file
from parexec_tui.core.plan.expanding.outside import Outside
from parexec_tui.core.plan.hosts import HostSpec, RaySpec, hosts_of
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.reading.typed import read_value, write_value
from parexec_tui.core.plan.resources import Resources
from parexec_tui.core.plan.units import Lease
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec

GPU_BOX = '[hosts.gpu-box]\nssh = "me@gpu-box"\nlabels = ["gpu", "x86"]\nresources = { gpu = ["0", "1"] }\n'
TICKET = '[tickets.T]\nrun = "true"\n'
KNOWN = {"attic": HostSpec(ssh="attic", labels=("cold",)), "gpu-box": HostSpec(ssh="other")}


def read(text: str) -> Plan:
    outside = Outside(look_nowhere, read_no_file, hosts=lambda: KNOWN)
    return read_plan(text, source="p", folder="/work", format="toml", host=Host(2, 2**30), outside=outside)


def wrong(text: str) -> list[str]:
    with pytest.raises(PlanErrors) as caught:
        read(text)
    return [str(each) for each in caught.value.problems]


def test_hosts_are_read_and_stored_as_they_are() -> None:
    plan = read(
        GPU_BOX + 'lease = "never"\n[hosts.big]\nray = { address = "head:6379", via = "me@head" }\nlease = "1h"\n'
        '[agents.a]\non = ["local", "big"]\n[agents.b]\non_labels = ["gpu"]\n[agents.c]\n' + TICKET + 'lease = "5m"'
    )
    assert plan.hosts == {
        "gpu-box": HostSpec(
            ssh="me@gpu-box",
            labels=("gpu", "x86"),
            resources=Resources(gpu=("0", "1")),
            lease=Lease(inf),
        ),
        "big": HostSpec(ray=RaySpec(address="head:6379", via="me@head"), lease=Lease(3600)),
    }
    assert [hosts_of(plan.agents[name], plan.hosts) for name in "abc"] == [("", "big"), ("gpu-box",), ("",)]
    assert plan.tickets["T"].lease == Lease(300)
    assert codec.decode_plan(codec.encode_plan(plan)) == plan


@pytest.mark.parametrize("text", ["never", "5m", "1h30m"])
def test_a_lease_is_typed_as_it_is_written(text: str) -> None:
    assert write_value("lease", Lease.parse(text)) == text
    assert read_value("lease", text) == text


def test_hosts_of_the_settings_are_those_of_the_plan_that_its_agent_types_name() -> None:
    assert read("[agents.a]\n" + TICKET).hosts == {}
    named = read(GPU_BOX + '[agents.a]\non = ["attic", "gpu-box"]\n' + TICKET).hosts
    assert (named["attic"], named["gpu-box"].ssh) == (KNOWN["attic"], "me@gpu-box")
    assert read('[agents.a]\non_labels = ["cold"]\n' + TICKET).hosts == {"attic": KNOWN["attic"]}


def test_hosts_that_are_gone_from_the_file_go_at_a_reload() -> None:
    plan = read(GPU_BOX + TICKET)
    found = compare(SessionState(plan), structs.replace(plan, hosts={}))
    assert (found.hosts, found.elsewhere) == ({"gpu-box": None}, ())


def test_what_no_host_can_give_is_asked_for_by_nobody_who_may_run_there() -> None:
    types = '[agents.a]\non = ["local", "gpu-box"]\nlimits = { cpu = 2, nice = 5 }\nsecrets = ["S"]\n[agents.b]\n'
    asks = 'run = "true"\nsecrets = ["S"]\nuses = { port = 1 }\nlimits = { processes = 9, open_files = 99 }\n'
    rest = '[secrets.S]\nenv = "S"\n[resources]\nport = ["8001"]\n'
    tickets = f'[tickets.there]\nagent = "a"\n{asks}[tickets.here]\nagent = "b"\n{asks}'
    by = "and agents of a, which may run it, may be on gpu-box (run it by a type without `on`)"
    kept = "hosts keep memory, open_files and nice only"
    out = "leave it out, or run it by a type without `on`"
    found = [text.partition(" ")[2] for text in wrong(GPU_BOX + types + tickets + rest)]
    assert found == [
        f"agents.a.limits.cpu: {kept}, and its agents may be on gpu-box ({out})",
        "agents.a.secrets: secrets stay on this machine, and its agents may be on gpu-box "
        "(run it by a type without `on`)",
        f"tickets.there.secrets: secrets stay on this machine, {by}",
        f"tickets.there.uses.port: ports are those of this machine, {by}",
        f"tickets.there.limits.processes: {kept}, and agents of a, which may run it, may be on gpu-box ({out})",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[hosts.local]\nssh = "a"\n', "p:1:8: hosts.local: `local` is this machine"),
        ("[hosts.a]\n", "p:1:8: hosts.a: how it is reached is not said"),
        ('[hosts.a]\nssh = "a"\nray = { address = "b" }\n', "it is reached by `ssh` or `ray`, not by both"),
        ('[hosts.a]\nssh = "-oProxyCommand=x"\n', "p:2:1: hosts.a.ssh: '-oProxyCommand=x' is no name of a machine"),
        ('[hosts.a]\nray = { python = "x" }\n', "hosts.a.ray: `address` is missing"),
        ('[hosts.a]\nray = { address = "b" }\nsync = "git"\n', "p:3:1: hosts.a.sync: a Ray cluster gets no files"),
        ('[hosts.a]\nssh = "a"\nlease = "0s"\n', "p:3:1: hosts.a.lease: a lease of '0s' would end at once"),
        ('[hosts.a]\nssh = "a"\nlease = "ever"\n', 'write for instance 45s, 30m, 1h30m, 250ms or 2d, or "never"'),
        ('[hosts.a]\nssh = "a"\nworkdir = "x"\n', "'x' is not an absolute path"),
        ('[hosts.a]\nssh = "a"\nlabel = ["x"]\n', "hosts.a.label: unknown key (did you mean `labels`?)"),
        (GPU_BOX + '[agents.a]\non = ["gpu-bx"]\n', "agents.a.on[0]: there is no host 'gpu-bx' (did you mean"),
        ('[hosts.a]\nssh = "a"\nlease = 0.001\n', "hosts.a.lease: a lease of 0.001s is too short"),
        ('[hosts.a]\nssh = "a"\nlabels = [""]\n', "hosts.a.labels[0]: a label says something"),
        (GPU_BOX + '[defaults]\nlease = 0.1\n', "defaults.lease: a lease of 0.1s is too short"),
        (GPU_BOX + '[agents.a]\non_labels = ["tpu"]\n', "no host is tpu: `gpu-box` is gpu and x86"),
        (GPU_BOX + '[agents.a]\non = ["gpu-box"]\non_labels = ["gpu"]\n', "`on` says already where"),
        (GPU_BOX + '[agents.b]\n[agents.a]\nkind = "claude"\non = ["gpu-box"]\n', "coding agents run on this"),
        ('[hosts.a]\nssh = "a"\nsync = "git"\n[agents.a]\non = ["a"]\n', "a gets its files by git, which takes work"),
        (
            '[hosts.a]\nssh = "a"\nsync = "git"\n[agents.a]\non = ["a"]\nisolation = "worktree"\nlink = ["x"]\n',
            "p:7:1: agents.a.link: a cannot have links to files of this machine",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    assert any(told in line for line in wrong(text + TICKET))


def test_what_a_ticket_asks_for_is_on_one_host_that_may_run_it() -> None:
    both = GPU_BOX + '[agents.a]\non = ["local", "gpu-box"]\n'
    assert read(both + TICKET + "uses = { gpu = 2, cpu = 64 }")
    [line] = wrong(both + TICKET + "uses = { gpu = 3 }")
    assert line.startswith("p:9:10: tickets.T.uses.gpu: asks for 3 gpu, and no host has: local 0 and gpu-box 2")
    [line] = wrong(GPU_BOX + "[agents.a]\n" + TICKET + "uses = { gpu = 1 }")
    assert "there is no resource 'gpu'" in line
    many = both + "[resources]\nlicence = 1\ncpu = 4\n" + TICKET
    assert read(many + "uses = { licence = 1, gpu = 1 }")
    [line] = wrong(both.replace("gpu =", "cpu = 3, gpu =") + TICKET + "uses = { cpu = 4 }")
    assert "asks for 4 cpu, and no host has: local 2 and gpu-box 3" in line
