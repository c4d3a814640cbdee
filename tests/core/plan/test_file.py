"""A plan file is read whole, or refused with everything that is wrong in it."""

# ruff: noqa: E501 - a message stands here as it is shown, in one line

import gc
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import SHELL, SHELL_OF_OLD, AgentType, eligible_types
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.reading.positions import Format
from parexec_tui.core.plan.reading.problems import Problem
from parexec_tui.core.plan.reading.rules.commands import is_simple
from parexec_tui.core.plan.reading.rules.names import PLAIN_NAME
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.retries import Budgets
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.plan.waits import Wait
from tests.core.plan.documents import PLANS, VALUES, toml_texts

FULL = """
[plan]
name = "Standardise the docs"
parallel = 6
on_failure = "stop"
barrier = true
workdir = "../site"

[defaults]
timeout = "30m"
retries = 1
uses = { cpu = 0.5, memory = "1GiB" }
env = { LANG = "C.UTF-8", MODE = "fast" }

[resources]
gpu = 2

[agents.builder]
min = 1
max = 4
can = ["docs", "python"]
command = ["/bin/sh", "-c", "{run}"]
env = { LANG = "C.UTF-8" }
cwd = "."
nice = 5

[tickets.SYS-001]
run = "true"

[tickets.MOD-012]
title = "Standardise YAML front matter"
run = "tools/frontmatter docs/"
needs = ["SYS-001"]
priority = "high"
agent = "builder"
requires = ["docs"]
reads = ["docs/**"]
writes = ["templates/frontmatter.yaml"]
locks = ["registry"]
uses = { gpu = 1, memory = "512MiB" }
estimate = "15m"
timeout = "1h"
retries = 2
retry_delay = "20s"
env = { MODE = "slow" }
cwd = "."
"""

TICKET = '\n[tickets.A]\nrun = "true"\n'


def read(text: str, *, format: Format = "toml", host: Host | None = None) -> Plan:  # noqa: A002
    return read_plan(text, source="p", folder="/home/me", format=format, host=host)


def problems(text: str, *, format: Format = "toml", host: Host | None = None) -> list[str]:  # noqa: A002
    """What is wrong with a plan, one line each; nothing if it is right."""
    try:
        read(text, format=format, host=host)
    except PlanErrors as errors:
        return str(errors).splitlines()
    return []


def test_a_full_plan_is_read() -> None:
    plan = read(FULL)

    assert plan.settings.name == "Standardise the docs"
    assert (plan.settings.parallel, plan.settings.on_failure, plan.settings.barrier) == (6, "stop", True)
    assert plan.workdir == "/home/site"
    assert plan.source == "p"
    assert plan.resources == {"gpu": 2}
    assert plan.agents == {
        "builder": AgentType(
            min=1,
            max=4,
            can=("docs", "python"),
            env={"LANG": "C.UTF-8"},
            cwd=".",
            nice=5,
            command=(*SHELL_OF_OLD, "{run}"),
        )
    }
    assert plan.tickets["MOD-012"] == Ticket(
        title="Standardise YAML front matter",
        run="tools/frontmatter docs/",
        needs=("SYS-001",),
        priority=Priority.high,
        agent="builder",
        requires=("docs",),
        reads=("docs/**",),
        writes=("templates/frontmatter.yaml",),
        locks=("registry",),
        uses=Amounts(gpu=1, cpu=0.5, memory=512 * 2**20),
        estimate=Duration(900),
        timeout=Duration(3600),
        retries=2,
        retry_delay=Duration(20),
        env={"LANG": "C.UTF-8", "MODE": "slow"},
        cwd=".",
    )


def test_parallel_may_be_found_out() -> None:
    assert read("[plan]\nparallel = 'auto'" + TICKET).settings.parallel == "auto"


def test_a_ticket_takes_from_the_defaults_what_it_does_not_say() -> None:
    ticket = read(FULL).tickets["SYS-001"]

    assert ticket.timeout == Duration(1800)
    assert ticket.retries == 1
    assert ticket.uses == {"cpu": 0.5, "memory": 2**30}
    assert ticket.env == {"LANG": "C.UTF-8", "MODE": "fast"}


def test_a_plan_needs_no_more_than_a_ticket() -> None:
    plan = read_plan(TICKET, source="x/my.plan.toml", folder="/", format="toml")

    assert plan.settings.name == "my.plan"
    assert plan.workdir == "/"
    assert plan.agents == {"agent": AgentType(shell=SHELL)}
    assert plan.tickets == {"A": Ticket(run="true")}


def test_agent_types_without_a_command_run_the_shell_of_the_plan() -> None:
    bash = ("bash", "-euo", "pipefail", "-c")
    tool, old = ("tool", "{prompt}"), ("/bin/sh", "-c", "{run}")
    agents = read(
        f"plan.shell = {list(bash)}\nagents.a.max = 1\nagents.b.shell = ['python3', '-c']\n"
        f"agents.c.command = {list(tool)}\nagents.d.command = {list(old)}{TICKET}"
    ).agents

    shells = {name: type_.run_shell for name, type_ in agents.items()}
    assert shells == {"a": bash, "b": ("python3", "-c"), "c": None, "d": ("/bin/sh", "-c")}
    commands = {name: type_.whole_command for name, type_ in agents.items()}
    assert commands == {"a": (*bash, "{run}"), "b": ("python3", "-c", "{run}"), "c": tool, "d": old}


def test_json_holds_the_same_plan() -> None:
    document = {
        "$schema": "https://example.org/plan.json",
        "defaults": {"env": {"A": "1"}},
        "tickets": {"A": {"run": "true", "env": {"B": "2"}, "timeout": None}},
    }

    assert read(json.dumps(document), format="json").tickets == {"A": Ticket(run="true", env={"A": "1", "B": "2"})}


def test_a_byte_order_mark_is_no_trouble() -> None:
    assert read("\ufeff" + TICKET).tickets.keys() == {"A"}


def test_the_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()
    read(TICKET)
    assert gc.isenabled()
    assert problems("x = ")
    assert gc.isenabled()
    gc.disable()
    try:
        read(TICKET)
        assert not gc.isenabled()
    finally:
        gc.enable()


PLAIN = PLAIN_NAME
NO_TICKETS = "p:1:1: tickets: the plan has no tickets (write one, for instance [tickets.first])"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The file as a whole
        ("", [NO_TICKETS]),
        ("[tickets]", ["p:1:2: tickets: the plan has no tickets (write one, for instance [tickets.first])"]),
        ("tickets = []", ["p:1:1: tickets: expected a table of tables, got a list"]),
        ("a = 1\nb =", ["p:2:4: invalid value"]),
        ("a = 1\na = 2", ["p:2:6: cannot overwrite a value"]),
        ("a = " + "[" * 2000, ["p:1:1: nested too deeply"]),
        ("\ntitle = '\ud800'", ["p:2:10: not a character"]),
        ("[ticket.A]\nrun = 'x'", ["p:1:2: ticket: unknown key (did you mean `tickets`?)"]),
        ("plan = 1\nagents = 2\nresources = 3\ndefaults = 4" + TICKET, [
            "p:1:1: plan: expected a table, got 1",
            "p:2:1: agents: expected a table of tables, got 2",
            "p:3:1: resources: expected a table of resources, for instance { gpu = 2, port = \"8000-8099\" }",
            "p:4:1: defaults: expected a table, got 4",
        ]),
        ("'$schema' = 1" + TICKET, ["p:1:1: \"$schema\": expected a string, got 1"]),
        # Keys and types
        ("tickets.A = 3", ["p:1:9: tickets.A: expected a table, got 3"]),
        ("[tickets.A]\nneds = []\nzzz = 1\nrun = 'x'", [
            "p:2:1: tickets.A.neds: unknown key (did you mean `needs`?)",
            "p:3:1: tickets.A.zzz: unknown key",
        ]),
        ("requires_env = ['X']\nworkdir = 'x'\n[plan]\nneeds = []\n[tickets.A]\nrun = 'x'\nmax = 2", [
            "p:1:1: requires_env: unknown key (it stands in [plan] or [agents.NAME] or [tickets.ID])",
            "p:2:1: workdir: unknown key (it stands in [plan])",
            "p:4:1: plan.needs: unknown key (it stands in [tickets.ID])",
            "p:7:1: tickets.A.max: unknown key (it stands in [agents.NAME])",
        ]),
        ("[tickets.A]\nRun = 'x'\nretry-delay = 1\nrun = 'x'", [
            "p:2:1: tickets.A.Run: unknown key (did you mean `run`?)",
            "p:3:1: tickets.A.retry-delay: unknown key (did you mean `retry_delay`?)",
        ]),
        ("[tickets.A.1]\nrun = 'x'", [
            "p:1:12: tickets.A.1: unknown key (a dot in a header opens a table; if the name has a dot in it, quote it:"
            " \"A.1\")",
        ]),
        (TICKET + "needs = 'B'\nreads = [1, [], 'x', {}]\ntitle = 1979-05-27\ncwd = true\nenv = { A = 1 }", [
            "p:4:1: tickets.A.needs: expected a list of strings, got a string",
            "p:5:10: tickets.A.reads[0]: expected a string, got 1",
            "p:5:13: tickets.A.reads[1]: expected a string, got a list",
            "p:5:22: tickets.A.reads[3]: expected a string, got a table",
            "p:6:1: tickets.A.title: expected a string, got a date or a time",
            "p:7:1: tickets.A.cwd: expected a string, got true",
            "p:8:9: tickets.A.env.A: expected a string, got 1",
        ]),
        ("[plan]\nbarrier = 1\nparallel = 0\non_failure = 'Hold'" + TICKET + "priority = 'hihg'\nretries = 1.5", [
            "p:2:1: plan.barrier: expected true or false, got 1",
            "p:3:1: plan.parallel: expected a whole number from 1 to 1000000, got 0 (or write 'auto')",
            "p:4:1: plan.on_failure: expected one of continue, hold, stop, got 'Hold' (did you mean `hold`?)",
            "p:7:1: tickets.A.priority: expected one of critical, high, medium, low, got 'hihg' (did you mean `high`?)",
            "p:8:1: tickets.A.retries: expected a whole number from 0 to 1000000, got 1.5",
        ]),
        ("[plan]\nparallel = 'atuo'" + TICKET, [
            "p:2:1: plan.parallel: expected auto or a whole number from 1 to 1000000, got 'atuo' (did you mean `auto`?)",
        ]),
        ("[agents.a]\nnice = 20\ncommand = []" + TICKET, [
            "p:2:1: agents.a.nice: expected a whole number from -20 to 19, got 20",
            "p:3:1: agents.a.command: expected a list of strings, at least one, got an empty list",
        ]),
        # Durations, sizes, amounts
        (TICKET + "timeout = 'soon'\ngrace = -1\nuses = { memory = '1X', cpu = 'a', gpu = 0.5 }", [
            "p:4:1: tickets.A.timeout: 'soon' is not a duration: write for instance 45s, 30m, 1h30m, 250ms or 2d",
            "p:5:1: tickets.A.grace: -1 is not a duration: it must be from 0 to 100 years, in seconds",
            "p:6:10: tickets.A.uses.memory: '1X' is not a size: write for instance 512MiB, 2G, 1.5GB or a number of"
            " bytes",
            "p:6:25: tickets.A.uses.cpu: 'a' is not an amount of cpu: write a number that is not negative",
            "p:6:36: tickets.A.uses.gpu: 0.5 of gpu is not a whole number: only cpu may be a fraction",
        ]),
        ("[plan]\nmax_log = '1K'\n[defaults]\nmax_log = 'much'" + TICKET + "max_log = 65535\n[tickets.B]\nrun = 'x'\n"
         "max_log = '64K'\n[tickets.C]\nrun = 'x'\nmax_log = 0", [
            "p:2:1: plan.max_log: 1KiB is too little to keep of an output (write at least 64KiB, or 0 to keep all of it)",
            "p:4:1: defaults.max_log: 'much' is not a size: write for instance 512MiB, 2G, 1.5GB or a number of bytes",
            "p:7:1: tickets.A.max_log: 64KiB is too little to keep of an output (write at least 64KiB, or 0 to keep all"
            " of it)",
        ]),
        ("[defaults]\nprogress = 'no'" + TICKET + "progress = '{n}'\n[tickets.B]\nrun = 'x'\nprogress = 'epoch {n}/{m}'\n"
         "[tickets.C]\nrun = 'x'\nprogress = 'off'\n[tickets.D]\nrun = 'x'\nprogress = '{percent} {what}'", [
            "p:2:1: defaults.progress: 'no' is not a pattern of progress: it has neither {percent} nor {n} and {m} (write"
            " for instance `epoch {n}/{m}` or `{percent}% {step}`, or `off`)",
            "p:5:1: tickets.A.progress: '{n}' is not a pattern of progress: it has neither {percent} nor {n} and {m} (write"
            " for instance `epoch {n}/{m}` or `{percent}% {step}`, or `off`)",
            "p:14:1: tickets.D.progress: '{percent} {what}' is not a pattern of progress: {what} is no placeholder: there"
            " are {percent}, {n}, {m} and {step} (write for instance `epoch {n}/{m}` or `{percent}% {step}`, or `off`)",
        ]),
        # Defaults, where they stand, whether or not a ticket takes them
        ("[defaults]\nretries = 'x'\nagent = 'nobody'\nneeds = ['Q']\n[agents.a]" + TICKET + "agent = 'a'\nneeds = []", [
            "p:2:1: defaults.retries: expected a whole number from 0 to 1000000, got a string",
            "p:3:1: defaults.agent: there is no agent type 'nobody' (there is `a`)",
            "p:4:10: defaults.needs[0]: there is no ticket 'Q'",
        ]),
        ("[defaults]\nneeds = ['A']" + TICKET + "[tickets.B]\nrun = 'x'", [
            "p:2:10: defaults.needs[0]: a ticket cannot need itself",
        ]),
        # Needs
        (TICKET + "needs = ['A', 'b', 'C', 'C']\n[tickets.B]\nrun = 'x'\n[tickets.C]\nrun = 'x'", [
            "p:4:10: tickets.A.needs[0]: a ticket cannot need itself",
            "p:4:15: tickets.A.needs[1]: there is no ticket 'b' (did you mean `B`?)",
            "p:4:25: tickets.A.needs[3]: 'C' is named twice",
        ]),
        ("defaults.run = 'x'\n[tickets]\nA.needs = ['C']\nB.needs = ['A']\nC.needs = ['B']\nD.needs = ['E', 'A']\n"
         "E.needs = ['D']\nF.needs = ['E']", [
            "p:3:12: tickets.A.needs[0]: a cycle of needs: A -> C -> B -> A (each would wait for the next for ever)",
            "p:6:12: tickets.D.needs[0]: a cycle of needs: D -> E -> D (each would wait for the next for ever)",
        ]),
        # Names
        ("[tickets.'a/b']\nrun = 'x'\n[tickets.'..']\nrun = 'x'\n[tickets.'a..b']\nrun = 'x'\n[tickets.'']\nrun = 'x'", [
            f"p:1:10: tickets.\"a/b\": 'a/b' is not a plain name ({PLAIN})",
            f"p:3:10: tickets.\"..\": '..' is not a plain name ({PLAIN})",
            f"p:5:10: tickets.\"a..b\": 'a..b' is not a plain name ({PLAIN})",
            f"p:7:10: tickets.\"\": '' is not a plain name ({PLAIN})",
        ]),
        ('[tickets."A\\n"]\nrun = "x"', [f"p:1:10: tickets.\"A\\n\": 'A\\n' is not a plain name ({PLAIN})"]),
        (TICKET + "[tickets.a]\nrun = 'x'", [
            "p:4:10: tickets.a: 'a' and 'A' differ only in case"
            " (where the file system ignores case, their logs would be one file)",
        ]),
        ("[resources]\n'g p' = 1\n[agents.'-a']" + TICKET + "locks = ['ok', '.x']", [
            f"p:2:1: resources.\"g p\": 'g p' is not a plain name ({PLAIN})",
            f"p:3:9: agents.-a: '-a' is not a plain name ({PLAIN})",
            f"p:6:16: tickets.A.locks[1]: '.x' is not a plain name ({PLAIN})",
        ]),
        # Demands
        ("[resources]\ngpu = 2\nbad = -1\ncpu = 3" + TICKET + "uses = { gpu = 3, gpus = 1, disk = 1, bad = 9, cpu = 3.5 }", [
            "p:3:1: resources.bad: -1 is not an amount of bad: write a number that is not negative",
            "p:7:10: tickets.A.uses.gpu: asks for 3 gpu, and [resources] has 2",
            "p:7:19: tickets.A.uses.gpus: there is no resource 'gpus' (did you mean `gpu`?)",
            "p:7:29: tickets.A.uses.disk: there is no resource 'disk' (name it in [resources], for instance `disk = 1`)",
            "p:7:48: tickets.A.uses.cpu: asks for 3.5 cpu, and [resources] has 3",
        ]),
        # Agents
        ("[agents.a]\nmin = 3\nmax = 2" + TICKET, ["p:2:1: agents.a.min: min = 3 is more than max = 2"]),
        ("[agents.builder]\n[agents.other]" + TICKET + "agent = 'bilder'\n[tickets.B]\nrun = 'x'\nagent = 'zzz'", [
            "p:5:1: tickets.A.agent: there is no agent type 'bilder' (did you mean `builder`?)",
            "p:8:1: tickets.B.agent: there is no agent type 'zzz' (there is `builder` and `other`)",
        ]),
        ("[agents.a]\ncan = ['docs']\n[agents.b]\ncan = ['python', 'go']\n[agents.c]" + TICKET
         + "requires = ['docs', 'pyton']\n[tickets.B]\nrun = 'x'\nrequires = ['docs', 'go']\n"
         "[tickets.C]\nrun = 'x'\nrequires = ['docs']\nagent = 'b'", [
            "p:8:21: tickets.A.requires[1]: no agent type can 'pyton' (did you mean `python`?)",
            "p:11:1: tickets.B.requires: no agent type can all of docs and go: `a` can docs, `b` can python and go and"
            " `c` can nothing",
            "p:14:1: tickets.C.requires: no agent type can all of docs: `b` can python and go",
        ]),
        ("tickets.A = {}\ntickets.B = { prompt = 'x' }\ntickets.C = { run = ' ' }", [
            "p:1:9: tickets.A: no agent type can run it: `agent` needs `run` (add `run = \"...\"`)",
            "p:2:9: tickets.B: no agent type can run it: `agent` needs `run`"
            " (a `prompt` is for a coding agent: add `[agents.claude]` with kind = \"claude\")",
            "p:3:9: tickets.C: no agent type can run it: `agent` needs `run` (add `run = \"...\"`)",
        ]),
        ("[agents.ai]\ncommand = ['ai', '{prompt}']\n[agents.both]\ncommand = ['{prompt}', '{run}']\n[tickets.A]", [
            "p:5:10: tickets.A: no agent type can run it: `ai` needs `prompt` and `both` needs `run` and `prompt`"
            " (add `prompt = \"...\"`)",
        ]),
        # Shells
        ("[plan]\nshell = []\n[agents.a]\nshell = 'bash -c'" + TICKET, [
            "p:2:1: plan.shell: expected a list of strings, at least one, got an empty list",
            "p:4:1: agents.a.shell: expected a list of strings, at least one, got a string",
        ]),
        ("[plan]\nshell = ['bash', '-o', 'pipefail']\n[agents.a]\nshell = ['bash', '-c', '{run}']\n"
         "[agents.b]\nshell = ['zsh']\ncommand = ['a']\n[agents.c]\nshell = ['', \"\\u0000\"]\n"
         "[agents.d]\nshell = ['ssh', 'host']" + TICKET + "shell = ['bash', '-c']", [
            "p:2:1: plan.shell: bash would take the command for the name of a file (end it with \"-c\")",
            "p:4:24: agents.a.shell[2]: `run` is added as the last argument (leave {run} out)",
            "p:6:1: agents.b.shell: `command` says already how a ticket is run (leave one of the two out, or name the"
            " shell in `command`)",
            "p:6:1: agents.b.shell: zsh would take the command for the name of a file (end it with \"-c\")",
            "p:9:10: agents.c.shell[0]: the name of a program is missing",
            "p:9:14: agents.c.shell[1]: a NUL character cannot be passed to a process",
            "p:14:1: tickets.A.shell: unknown key (a command is `run`; the shell that runs it is `shell` of [plan], or"
            " of an agent type)",
        ]),
        # Patterns, environments, NUL
        (TICKET + "outputs = ['ok', '/abs/../..', '/']", [
            "p:4:18: tickets.A.outputs[1]: '/abs/../..' is all that is on the disk, and no output (name the files that"
            " it writes)",
            "p:4:32: tickets.A.outputs[2]: '/' is all that is on the disk, and no output (name the files that it"
            " writes)",
        ]),
        (TICKET + "reads = ['ok/**', '[a']\nwrites = ['*/../x']", [
            "p:4:19: tickets.A.reads[1]: '[a': '[' has no ']' before the next '/': close it, or write [[] for a bracket"
            " itself",
            "p:5:11: tickets.A.writes[0]: '*/../x': '..' after a wildcard can lead anywhere: write the path without"
            " '..'",
        ]),
        ("[agents.a]\nenv = { 'X=Y' = '1' }\ncommand = ['a', \"b\\u0000\"]\ncwd = \"\\u0000\"\n[plan]\nworkdir = \"\\u0000\""
         + TICKET + "env = { '' = '1', X = \"\\u0000\" }\ncwd = \"\\u0000\"", [
            "p:2:9: agents.a.env.\"X=Y\": 'X=Y' is not a name of an environment variable",
            "p:3:17: agents.a.command[1]: a NUL character cannot be passed to a process",
            "p:4:1: agents.a.cwd: a NUL character cannot be passed to a process",
            "p:6:1: plan.workdir: a NUL character cannot be passed to a process",
            "p:9:9: tickets.A.env.\"\": '' is not a name of an environment variable",
            "p:9:19: tickets.A.env.X: a NUL character cannot be passed to a process",
            "p:10:1: tickets.A.cwd: a NUL character cannot be passed to a process",
        ]),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_is_said(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", ["p:1:1: expected an object with the tables of a plan, got a list"]),
        ('{\n "tickets": {,', ["p:2:14: expecting property name enclosed in double quotes"]),
        ('{"tickets": NaN}', ["p:1:1: NaN is not a number in JSON"]),
        ("[" * 100_000, ["p:1:1: nested too deeply"]),
        (
            '{"tickets": {"A": {"run": "x"},\n "A": {"run": "x"}}}',
            ["p:1:14: tickets.A: this key is there twice"],
        ),
        (
            '{"tickets": {"A":\n {"run": "x", "neds": null, "needs": null}}}',
            [
                "p:2:15: tickets.A.neds: unknown key (did you mean `needs`?)",
                "p:2:29: tickets.A.needs: expected a list of strings, got null",
            ],
        ),
    ],
)
def test_everything_that_is_wrong_in_json_is_said(text: str, expected: list[str]) -> None:
    assert problems(text, format="json") == expected


def test_one_mistake_hides_no_other() -> None:
    """Each is told in the same round, and nothing that only follows from another one."""
    text = """\
[plan]
name = 3
[groups.7]
gates = ["true", { run = 4 }, { retries = -1 }]
[group.nobody]
gates = [{ timeout = "soon", run = " " }]
[services.db]
run = ""
ready = "tcp:99999"
restart = -1
[services.web]
run = 5
[tickets.t]
run = "x"
checks = [{ run = "" }, { run = "x", every = "0s", then = "explode" }, { grows = 1 }, { forbid = "*", then = 3 }]
"""
    found = [line.split(": ", 1)[1] for line in problems(text)]
    assert sorted(line.split(":")[0] for line in found) == sorted(
        [
            "plan.name",
            "groups.7",
            "groups.7.gates[1].run",
            "groups.7.gates[2].retries",
            "groups.7.gates[2]",
            "group.nobody",
            "group.nobody.gates[0].timeout",
            "group.nobody.gates[0]",
            "services.db",
            "services.db.ready",
            "services.db.restart",
            "services.web.run",
            "tickets.t.checks[0]",
            "tickets.t.checks[1].then",
            "tickets.t.checks[1].every",
            "tickets.t.checks[2].grows",
            "tickets.t.checks[3].then",
            "tickets.t.checks[3].forbid",
        ]
    )


def test_a_group_that_there_is_not_is_told_beside_what_is_wrong_elsewhere() -> None:
    found = problems("[hooks]\non_idle = 3\n[groups.7]\ngates = ['true']" + TICKET)
    assert [line.split(": ", 2)[1] for line in found] == ["hooks.on_idle", "groups.7"]
    more = "needs = ['B']\n[tickets.C]\nrun = 'true'\n"
    found = problems("[groups.2]\ngates = ['true']" + TICKET + more)
    assert [line.split(": ", 2)[1] for line in found] == ["tickets.A.needs[0]"], "which decides about groups"
    found = problems("[groups.3]\ngates = ['true']" + TICKET + more)
    assert [line.split(": ", 2)[1] for line in found] == ["groups.3", "tickets.A.needs[0]"]
    assert "(the plan has 2 at most)" in found[0]


def test_demands_are_held_against_the_host() -> None:
    text = TICKET + "uses = { cpu = 8, memory = '1GiB' }\n[tickets.B]\nrun = 'x'\nuses.cpu = 4"

    assert problems(text) == []
    assert problems(text, host=Host(cpus=4, memory=2**29)) == [
        "p:4:10: tickets.A.uses.cpu: asks for 8 cpu, and this host has 4",
        "p:4:19: tickets.A.uses.memory: asks for 1GiB memory, and this host has 512MiB",
    ]
    assert problems("[resources]\ncpu = 16" + text, host=Host(cpus=4, memory=2**30)) == []


def test_braces_that_are_no_placeholder_are_left_alone() -> None:
    assert problems("[agents.a]\ncommand = ['sh', '-c', '{ {run}; } {unknown}']" + TICKET) == []


def test_a_problem_keeps_its_parts() -> None:
    with pytest.raises(PlanErrors) as caught:
        read("\n[tickets.MOD-012]\nneds = []\nrun = 'x'")

    assert caught.value.problems == (
        Problem("p", 3, 1, "tickets.MOD-012.neds", "unknown key", "did you mean `needs`?"),
    )


def test_many_slips_in_a_large_plan_are_told_without_comparing_all_with_all() -> None:
    tickets = {f"T{i}": {"run": "x", "needs": [f"U{i}"]} for i in range(3000)}

    assert len(problems(json.dumps({"tickets": tickets}), format="json")) == 3000


@pytest.mark.parametrize(
    ("agent", "requires", "run", "prompt", "expected"),
    [
        (None, (), "x", "", ("shell",)),
        (None, (), "x", "y", ("shell", "ai", "both")),
        (None, (), "", "y", ("ai",)),
        (None, ("docs",), "x", "y", ("ai", "both")),
        (None, ("docs", "go"), "x", "y", ("both",)),
        ("ai", ("go",), "x", "y", ()),
        ("shell", (), "", "y", ()),
        ("nobody", (), "x", "y", ()),
    ],
)
def test_the_types_that_can_run_a_ticket(
    agent: str | None, requires: tuple[str, ...], run: str, prompt: str, expected: tuple[str, ...]
) -> None:
    agents = {
        "shell": AgentType(),
        "ai": AgentType(command=("ai", "{prompt}"), can=("docs",)),
        "both": AgentType(command=("ai", "{prompt} {run}"), can=("docs", "go")),
    }

    assert eligible_types(agents, Ticket(agent=agent, requires=requires, run=run, prompt=prompt)) == expected


def _never_crashes(text: str, format: Format) -> None:  # noqa: A002
    lines = text.split("\n")
    outcome = _outcome(text, format)
    assert outcome
    if isinstance(outcome, Plan):
        assert outcome.tickets
        assert all(eligible_types(outcome.agents, ticket) for ticket in outcome.tickets.values())
        return
    for problem in outcome:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def _outcome(text: str, format: Format) -> Plan | tuple[Problem, ...]:  # noqa: A002
    try:
        return read(text, format=format, host=Host(cpus=2, memory=2**30))
    except PlanErrors as errors:
        return errors.problems


@given(toml_texts(PLANS))
def test_a_toml_document_is_a_plan_or_has_problems(text: str) -> None:
    _never_crashes(text, "toml")


@given(PLANS | VALUES)
def test_a_json_document_is_a_plan_or_has_problems(document: Any) -> None:
    _never_crashes(json.dumps(document), "json")


@given(st.text() | toml_texts(PLANS).flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end])))
def test_any_text_is_a_plan_or_has_problems(text: str) -> None:
    _never_crashes(text, "toml")
    _never_crashes(text, "json")


@given(PLANS)
def test_whatever_is_right_of_a_plan_is_read_the_same_in_either_way(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    try:
        expected = read(text, format="json")
    except PlanErrors:
        return
    # A key that is not known makes it be read key by key; then nothing but that key is wrong.
    with pytest.raises(PlanErrors) as caught:
        read(json.dumps({**document, "zzz": 1}), format="json")

    assert expected.tickets
    assert [problem.key for problem in caught.value.problems] == ["zzz"]


@given(st.text(st.sampled_from("ab*?[]!{}\\/.\0\n- é"), max_size=8))
def test_a_pattern_that_is_not_looked_at_is_valid(text: str) -> None:
    if is_simple(text):
        parse_pattern(text, "/w")


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("depends_on", "deps", "parents"), "write `needs`: "),
        (("wait_for", "runs_after"), "write `after`, which waits for the end of a ticket"),
        (("inputs",), "write `reads`: "),
        (("artifacts",), "write `writes`: "),
        (("command", "cmd", "script"), "write `run`: one string"),
        (("continue_on_error", "ignore-errors"), "write `allow_failure = true`"),
        (("if",), "write `skip_if = '! TEST'`"),
        (("always", "teardown"), "write `finally = true`"),
    ],
)
def test_words_of_other_tools_get_a_hint(words: tuple[str, ...], instead: str) -> None:
    for word in words:
        for table in ("tickets.A", "defaults"):
            own = f"[{table}]\n{word} = ['x']\n" + ("run = 'x'" if table == "tickets.A" else TICKET)
            (problem,) = problems(own)
            assert problem.startswith(f"p:2:1: {table}.{word}: unknown key ("), problem
            assert instead in problem


@pytest.mark.parametrize(
    ("word", "instead"), [("fail_fast", '`on_failure = "stop"`'), ("keep-going", "`on_failure`")]
)
def test_words_of_other_tools_for_plans_get_a_hint_too(word: str, instead: str) -> None:
    (problem,) = problems(f"[plan]\n{word} = true{TICKET}")
    assert problem.startswith(f"p:2:1: plan.{word}: unknown key (")
    assert instead in problem


def test_what_the_hints_name_exists() -> None:
    assert read("[hooks]\non_session_end = 'x'\n[tickets.A]\nrun = 'x || true'\nreads = ['a']\nwrites = ['b']")


def test_a_ticket_among_capabilities_gets_a_hint() -> None:
    assert problems(TICKET + "[tickets.B]\nrun = 'x'\nrequires = ['A']") == [
        "p:6:13: tickets.B.requires[0]: no agent type can 'A' ('A' is a ticket: write `needs` to wait for it)"
    ]


def test_a_long_cycle_is_told_by_its_ends_and_its_length() -> None:
    rows = "".join(f"t{n}.needs = ['t{(n - 1) % 3000}']\n" for n in range(3000))
    (problem,) = problems("[defaults]\nrun = 'x'\n[tickets]\n" + rows)

    assert problem == (
        "p:4:13: tickets.t0.needs[0]: a cycle of needs: t0 -> t2999 -> t2998 -> t2997 -> ... 2993 more ..."
        " -> t3 -> t2 -> t1 -> t0, 3000 tickets in all (each would wait for the next for ever)"
    )


def test_lines_of_commands_end_as_a_shell_wants_it() -> None:
    run = "if true; then\r\necho hi\r\nfi"
    text = json.dumps({"hooks": {"on_idle": run}, "tickets": {"A": {"run": run, "prompt": "a\r\nb"}}})
    for escaped in (text, text.replace("\\r", "\\u000D")):
        plan = read(escaped, format="json")
        assert plan.tickets["A"].run == plan.hooks.on_idle == "if true; then\necho hi\nfi"
        assert plan.tickets["A"].prompt == "a\r\nb"
    assert read('[tickets.A]\nrun = "a\\r\\nb"').tickets["A"].run == "a\nb"


def test_an_id_may_have_200_characters() -> None:
    assert list(read(f"[tickets.{'x' * 200}]\nrun = 'x'").tickets) == ["x" * 200]
    (problem,) = problems(f"[tickets.{'x' * 201}]\nrun = 'x'")
    assert "at most 200" in problem


def test_what_counts_as_success_and_what_is_tried_again_is_read() -> None:
    text = 'expect_codes = [0, 3]\nretries = { failed = 2, lost = 5 }\nretry_on = ["timed out", "signal 9", 75]'
    ticket = read(TICKET + text).tickets["A"]

    assert (ticket.expect_codes, ticket.retries) == ((0, 3), Budgets(failed=2, lost=5))
    assert ticket.retry_on == ("timed out", "signal 9", 75)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("expect_codes = []", "expect_codes: expected a list of whole numbers, at least one, got an empty list"),
        ("expect_codes = 3", "expect_codes: expected a list of whole numbers, at least one, got 3"),
        ("expect_codes = [0, 256]", "expect_codes[1]: expected a whole number from 0 to 255, got 256"),
        ("retry_on = []", "retry_on: expected a list of words and numbers, at least one, got an empty list"),
        ("retry_on = ['lots']", "retry_on[0]: 'lots' is no failure (did you mean `lost`?)"),
        ("retry_on = ['signal 99']", "retry_on[0]: there is no signal 99 (they are 1 to 64)"),
        ("retry_on = ['signal 0']", "retry_on[0]: 'signal 0' is no failure (did you mean `signal`?)"),
        (
            "retry_on = ['always']",
            "retry_on[0]: 'always' is no failure (an exit code, `signal 9`, or one of failed, timed out,"
            " out of memory, could not start, lost, outputs, claims, gate, check, service and signal)",
        ),
        ("retry_on = [0]", "retry_on[0]: exit code 0 counts as success (leave it out here, or in `expect_codes`)"),
        ("retries = { lost = -1 }", "retries.lost: expected a whole number from 0 to 1000000, got -1"),
        ("retries = { losst = 1 }", "retries.losst: unknown key (did you mean `lost`?)"),
    ],
)
def test_mistakes_in_what_is_tried_again_are_told(line: str, expected: str) -> None:
    (problem,) = problems(TICKET + line)
    assert problem.split(" ", 1)[1].removeprefix("tickets.A.") == expected


def test_what_a_ticket_waits_for_is_read() -> None:
    ticket = read(
        TICKET + '[tickets.B]\nrun="x"\n[tickets.C]\nrun="x"\n[tickets.D]\nrun="x"\nneeds=["A?", "B"]\nafter=["C"]'
    ).tickets["D"]

    assert ticket.waits == {"A": Wait.end, "B": Wait.success, "C": Wait.order}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("needs = ['C?']", "tickets.B.needs[0]: there is no ticket 'C'"),
        ("needs = ['A??']", "tickets.B.needs[0]: there is no ticket 'A?' (did you mean `A`?)"),
        ("needs = ['A', 'A?']", "tickets.B.needs[1]: 'A' is named twice"),
        ("needs = ['B?']", "tickets.B.needs[0]: a ticket cannot need itself"),
        ("after = ['B']", "tickets.B.after[0]: a ticket cannot come after itself"),
        (
            "finally = true\nneeds = ['A']",
            "tickets.B.needs[0]: a ticket with `finally` runs when all others are over, 'A' too (leave it out; what its"
            " command finds tells whether that succeeded)",
        ),
        (
            "needs = ['E?']\n[tickets.E]\nrun = 'e'\nfinally = true",
            "tickets.B.needs[0]: 'E' runs at the end, after all that is not `finally` (write `finally = true` here too,"
            " or not in 'E')",
        ),
        ("after = ['C']", "tickets.B.after[0]: there is no ticket 'C'"),
        ("after = ['A?']", "tickets.B.after[0]: `after` waits for any end (write 'A', without the `?`)"),
        ("after = ['A', 'A']", "tickets.B.after[1]: 'A' is named twice"),
        (
            "needs = ['A?']\nafter = ['A']",
            "tickets.B.after[0]: 'A' is in `needs` too, which waits for more (leave it out of one)",
        ),
    ],
)
def test_mistakes_in_what_a_ticket_waits_for_are_told(own: str, expected: str) -> None:
    (problem,) = problems(TICKET + "[tickets.B]\nrun = 'x'\n" + own)
    assert problem.split(" ", 1)[1] == expected


@pytest.mark.parametrize(
    ("a", "b", "kinds"),
    [
        ("needs = ['B?']", "needs = ['A']", "needs"),
        ("after = ['B']", "after = ['A']", "`after`"),
        ("after = ['B']", "needs = ['A?']", "`needs` and `after`"),
    ],
)
def test_a_cycle_through_any_keys_is_refused_where_it_is_written(a: str, b: str, kinds: str) -> None:
    (problem,) = problems(f"[tickets.A]\nrun = 'x'\n{a}\n[tickets.B]\nrun = 'x'\n{b}")
    key = a.split(" ")[0]
    assert problem == (
        f"p:3:{a.index('[') + 2}: tickets.A.{key}[0]: a cycle of {kinds}: A -> B -> A"
        " (each would wait for the next for ever)"
    )


def test_a_mistake_in_pressure_is_said_with_its_place() -> None:
    text = '[pressure]\nmemory = "lots"\ncpu = -1\nup_to = "hold"\n[tickets.A]\nrun = "x"\nfreezable = 3\n'
    found = [problem.split(":")[1] for problem in problems(text)]
    assert found == ["2", "3", "4", "7"], problems(text)
