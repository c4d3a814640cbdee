"""`limits` of a plan: read, merged by key, told, and what is wrong with them."""

import msgspec
import pytest

from parexec_tui.core.plan.agent_type import AgentType, limits_of
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.reading.typed import write_values
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Size
from parexec_tui.core.wire import codec

MIB = 2**20


def read(text: str) -> Plan:
    return read_plan(text, source="p", folder="/work", format="toml")


def test_a_ticket_goes_before_the_defaults_and_these_before_its_agent_type() -> None:
    plan = read(
        '[agents.a]\nnice = 3\nlimits = { memory = "1GiB", cpu = 1, open_files = 64 }\n'
        '[defaults]\nlimits = { memory = "64MiB", io = "idle" }\n'
        '[tickets.A]\nrun = "true"\nlimits = { cpu = 0.5, processes = 4 }\n[tickets.B]\nrun = "true"'
    )
    a, b = (limits_of(plan.agents["a"], plan.tickets[id_]) for id_ in "AB")
    assert a == Limits(memory=Size(64 * MIB), cpu=0.5, processes=4, open_files=64, nice=3, io="idle")
    assert b == Limits(memory=Size(64 * MIB), cpu=1, open_files=64, nice=3, io="idle")
    assert str(a) == "memory 64MiB, cpu 0.5, processes 4, open_files 64, nice 3, io idle"


def test_nothing_is_limited_unless_somebody_says_so() -> None:
    assert limits_of(AgentType(), Ticket(run="true")) is None
    assert limits_of(AgentType(nice=5), Ticket()) == limits_of(AgentType(limits=Limits(nice=5)), Ticket())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[tickets.A]\nrun = "a"\nlimits = { memry = 1 }',
            "p:3:12: tickets.A.limits.memry: unknown key (did you mean",
        ),
        ('[tickets.A]\nrun = "a"\nlimits = { cpu = 0 }', "cpu: expected a number from 0.01 to 1000000, got 0"),
        ('[tickets.A]\nrun = "a"\nlimits = { processes = 0 }', "expected a whole number from 1 to 1000000, got 0"),
        (
            '[tickets.A]\nrun = "a"\nlimits = { io = "idel" }',
            "one of idle, low, normal, got 'idel' (did you mean `idle`",
        ),
        (
            '[tickets.A]\nrun = "a"\nlimits = { memory = "1MiB" }',
            "p:3:12: tickets.A.limits.memory: in 1MiB of memory",
        ),
        (
            '[defaults]\nlimits = { memory = 1 }\n[tickets.A]\nrun = "a"',
            "p:2:12: defaults.limits.memory: in 1B of mem",
        ),
        (
            '[agents.a]\nnice = 1\nlimits = { nice = 2 }\n[tickets.A]\nrun = "a"',
            "p:2:1: agents.a.nice: `limits` says",
        ),
        (
            '[tickets.A]\nrun = "a"\nuses = { memory = 1 }\nretry_uses = { memory = 2 }',
            "p:4:16: tickets.A.retry_uses.memory: 2 does not say how much more: write for instance",
        ),
        (
            '[tickets.A]\nrun = "a"\nretry_uses = { memory = "x2" }',
            "p:3:1: tickets.A.retry_uses: there is no memory of which it could take more",
        ),
        ('[tickets.A]\nrun = "a"\ntimeout = 0', "p:3:1: tickets.A.timeout: no command ends in no time"),
        ('[defaults]\ntimeout = "0s"\n[tickets.A]\nrun = "a"', "p:2:1: defaults.timeout: no command ends in no time"),
        (
            '[tickets.A]\nrun = "a"\ngates = [{ run = "b", timeout = "0s" }]',
            "p:3:23: tickets.A.gates[0].timeout: no command ends in no time (leave it out for no limit)",
        ),
        (
            '[plan]\nfinally_timeout = 0\n[tickets.A]\nrun = "a"',
            "p:2:1: plan.finally_timeout: no command ends in no time (leave it out for 10 minutes)",
        ),
        (
            '[tickets.A]\nrun = "a"\nchecks = [{ max_memory = "0" }]',
            "p:3:13: tickets.A.checks[0].max_memory: no process runs in no memory (write for instance 8GiB)",
        ),
        ('[tickets.A]\nrun = "a"\nlimits = 4', "p:3:1: tickets.A.limits: expected a table, got 4"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(PlanErrors) as raised:
        read(text)
    assert told in str(raised.value)


def test_how_much_more_a_retry_takes() -> None:
    plan = read('[tickets.A]\nrun = "a"\nlimits = { memory = "1GiB" }\nretry_uses = { memory = "x1.5" }')
    spec = plan.tickets["A"]
    assert spec.retry_uses is not None
    assert spec.retry_uses.memory == 1.5
    assert write_values(spec)["retry_uses"] == '{ memory = "x1.5" }'
    assert msgspec.convert(msgspec.json.decode(codec.encode(spec)), Ticket, dec_hook=codec.from_builtin) == spec
