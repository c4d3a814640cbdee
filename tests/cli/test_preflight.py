"""What `validate` says of a plan without errors."""

import os
import subprocess
import sys
from collections import namedtuple
from contextlib import nullcontext
from pathlib import Path

import pytest

from parexec_tui.cli import preflight
from parexec_tui.cli.preflight import MAX_ARGUMENT, MAX_CLASHES, clashes, first_command, shape, warnings
from parexec_tui.core.plan import patterns
from parexec_tui.core.plan.check import Clash, Survey, survey
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.engine.backends.local import controllers
from parexec_tui.engine.backends.local import unmet as required
from parexec_tui.engine.backends.local.controllers import Controllers
from parexec_tui.engine.backends.local.unmet import unmet
from tests.repositories import new_repository

HOST = Host(cpus=4, memory=2**33)

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def read(text: str, folder: Path) -> Plan:
    return read_plan(text, source="plan.toml", folder=str(folder), format="toml", host=HOST)


def found(text: str, folder: Path) -> list[str]:
    return list(warnings(read(text, folder)))


def surveyed(text: str, folder: Path) -> Survey:
    return survey(read(text, folder), host=HOST)


# -- the shape -------------------------------------------------------------------------------------------------


def test_the_shape_of_one_ticket(work: Path) -> None:
    assert list(shape(surveyed('[tickets.a]\nrun = "true"\n', work))) == [
        "1 ticket in 1 group of 1",
        "widest group: number 1, with 1 ticket",
        "critical path: 1 ticket: a",
    ]


def test_the_shape_of_a_diamond_with_estimates(work: Path) -> None:
    plan = """
    [defaults]
    run = "true"
    [tickets.a]
    estimate = "1m"
    [tickets.b]
    needs = ["a"]
    estimate = "2m"
    [tickets.c]
    needs = ["a"]
    estimate = "5m"
    [tickets.d]
    needs = ["b", "c"]
    """
    assert list(shape(surveyed(plan, work))) == [
        "4 tickets in 3 groups of 1, 2, 1",
        "widest group: number 2, with 2 tickets",
        "critical path: 8m00s, 3 tickets: a -> c -> d",
        "1 ticket has no estimate; it is taken to last the median of the others",
    ]


def test_the_shape_of_a_long_chain_is_short(work: Path) -> None:
    tickets = "".join(
        f't{n} = {{ run = "true", needs = [{f"{chr(34)}t{n - 1}{chr(34)}" if n else ""}] }}\n' for n in range(30)
    )
    first, _, path = shape(surveyed(f"[tickets]\n{tickets}", work))
    assert first == "30 tickets in 30 groups of 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ..."
    assert path == "critical path: 30 tickets: t0 -> t1 -> t2 -> t3 -> t4 -> ... -> t26 -> t27 -> t28 -> t29"


# -- who waits for whom ----------------------------------------------------------------------------------------


def survey_with(count: int, *, more: int = 0, is_complete: bool = True) -> Survey:
    pairs = tuple(Clash(f"a{number}", f"b{number}", "both lock x") for number in range(count))
    return Survey(
        groups=(1,),
        critical_path=("a",),
        length=None,
        estimated=0,
        clashes=pairs,
        more_clashes=more,
        is_complete=is_complete,
    )


def test_without_a_clash_nothing_is_said() -> None:
    assert list(clashes(survey_with(0))) == []


def test_each_clash_has_a_line_up_to_a_point() -> None:
    assert list(clashes(survey_with(1))) == ["a0 and b0 will not run at once: both lock x"]
    *lines, last = clashes(survey_with(MAX_CLASHES + 2, more=3))
    assert len(lines) == MAX_CLASHES
    assert last == "5 more pairs of tickets will not run at once"
    assert list(clashes(survey_with(MAX_CLASHES, more=1)))[-1] == "1 more pair of tickets will not run at once"


def test_what_was_not_looked_at_is_said() -> None:
    assert list(clashes(survey_with(0, is_complete=False))) == [
        "there may be more such pairs: the plan is too large to look at all of them"
    ]


def test_what_many_tickets_share_has_one_line(work: Path) -> None:
    def lines(tickets: str) -> list[str]:
        return list(clashes(surveyed("[resources]\ngpu = 3\n[defaults]\nrun = 'x'\n[tickets]\n" + tickets, work)))

    def forty(fields: str) -> str:
        return "".join(f"t{n} = {{ {fields.replace('N', str(n))} }}\n" for n in range(40))

    who = "40 tickets (t0, t1, t2 and 37 more)"
    assert lines(forty("locks = ['db']")) == [f"{who} share `db`, one at a time"]
    assert lines(forty("writes = ['o']")) == [f"{who} write `o`, one at a time"]
    assert lines(forty("uses.gpu = 2")) == [f"{who} share `gpu`, one at a time"]
    much = "41 tickets (w, t0, t1 and 38 more) use much of `gpu`, 40 pairs of them will not run at once"
    assert lines("w.uses.gpu = 3\n" + forty("uses.gpu = 1")) == [much]
    readers = "41 tickets (w, t0, t1 and 38 more) claim `o` or parts of it, 40 pairs of them will not run at once"
    assert lines("w.writes = ['o']\n" + forty("reads = ['o']")) == [readers]
    for kind in ("reads", "writes"):
        assert lines("w.writes = ['o/**']\n" + forty(f"{kind} = ['o/N']")) == [readers]
    others = "a.locks = ['x']\nb.locks = ['x']\n"
    assert lines(forty("locks = ['db']") + others) == [
        f"{who} share `db`, one at a time",
        "a and b will not run at once: both lock x",
    ]


# -- commands --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "command"),
    [
        ("make all", "make"),
        ("  ./tools/build --fast", "./tools/build"),
        ("A=1 B=two make", "make"),
        ("make # all of it", "make"),
        ("make;ls", None),
        ("# a comment\nmake", None),
        ("cd docs && make", None),
        ("if true; then make; fi", None),
        ("$TOOL all", None),
        ("(make)", None),
        ("echo 'not closed", None),
        (": nothing", None),
        (". ./environment", None),
        ("FOO=1", None),
        ("FOO=$(seq 3 9) make", None),
        ("", None),
    ],
)
def test_the_program_that_a_command_starts_with(run: str, command: str | None) -> None:
    assert first_command(Ticket(run=run)) == command


def test_a_command_that_is_missing_is_told(work: Path) -> None:
    assert found('[tickets.a]\nrun = "no-such-command --all"\n', work) == [
        "tickets.a: command no-such-command is not found on this machine"
    ]
    assert found('[tickets.a]\nrun = "awk 1"\n', work) == []


def test_a_command_of_the_project_is_looked_for_where_the_ticket_runs(work: Path) -> None:
    (work / "tools").mkdir()
    tool = work / "tools" / "build"
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o755)
    plan = """
    [agents.here]
    [agents.there]
    cwd = "tools"
    [tickets.a]
    agent = "here"
    run = "tools/build"
    [tickets.b]
    agent = "there"
    run = "./build"
    [tickets.c]
    agent = "here"
    cwd = "tools"
    run = "./build"
    [tickets.d]
    agent = "there"
    run = "tools/build"
    """
    assert found(plan, work) == ["tickets.d: command tools/build is not found on this machine"]


def test_what_many_tickets_lack_is_said_once(work: Path) -> None:
    plan = "".join(
        f'[tickets.t{number}]\nrun = "true"\nreads = ["include/**", "src/{number}.c"]\n' for number in range(6)
    )
    first, *others = found(plan, work)
    assert first == "tickets t0, t1, t2 and 3 more: reads include/**: it does not exist, and no ticket writes it"
    assert others == [
        f"tickets.t{number}: reads src/{number}.c: it does not exist, and no ticket writes it" for number in range(6)
    ]


def test_a_command_is_not_looked_for_here_if_it_runs_elsewhere(work: Path) -> None:
    plan = """
    hosts.far.ssh = "far"
    agents.there.on = ["far"]
    agents.both.on = ["local", "far"]
    tickets.a = { agent = "there", run = "no-such-command" }
    tickets.b = { agent = "both", run = "no-such-command" }
    """
    assert found(plan, work) == ["tickets.b: command no-such-command is not found on this machine"]


def test_a_command_that_a_ticket_makes_is_not_missing(work: Path) -> None:
    plan = """
    [tickets.make]
    run = "true"
    writes = ["bin/**"]
    [tickets.use]
    run = "bin/tool"
    [tickets.other]
    run = "sbin/tool"
    """
    assert found(plan, work) == ["tickets.other: command sbin/tool is not found on this machine"]


@pytest.mark.parametrize("table", ["[agents.a]", "[tickets.t]"])
def test_a_path_in_the_environment_is_respected(work: Path, table: str) -> None:
    (work / "mine").mkdir()
    tool = work / "mine" / "my-tool"
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o755)
    env = f'env = {{ PATH = "{work}/mine" }}'
    plan = '[agents.a]\nENV-A\n[tickets.t]\nENV-T\nrun = "my-tool"\n'
    here = plan.replace("ENV-A" if table == "[agents.a]" else "ENV-T", env)
    assert found(here.replace("ENV-A", "").replace("ENV-T", ""), work) == []
    assert found(plan.replace("ENV-A", "").replace("ENV-T", ""), work) != []


def test_what_no_shell_reads_is_not_taken_for_a_command(work: Path) -> None:
    """An agent with a command of its own may make anything of `run`."""
    plan = """
    [agents.snake]
    command = ["python3", "-c", "{run}"]
    [tickets.t]
    run = "import os"
    """
    assert found(plan, work) == []


def test_the_program_of_an_agent_type_that_is_missing_is_told(work: Path) -> None:
    plan = """
    [agents.robot]
    command = ["no-such-robot", "{prompt}"]
    [agents.any]
    command = ["{run}"]
    [tickets.t]
    agent = "any"
    run = "true"
    """
    assert found(plan, work) == ["agents.robot: command no-such-robot is not found on this machine"]


# -- folders and files -----------------------------------------------------------------------------------------


def test_folders_that_do_not_exist_are_told(work: Path) -> None:
    plan = """
    [agents.a]
    cwd = "agent-folder"
    [agents.b]
    [tickets.t]
    agent = "b"
    cwd = "ticket-folder"
    run = "./tool"
    [tickets.u]
    agent = "b"
    cwd = "ticket-folder"
    run = "true"
    """
    assert found(plan, work) == [
        f"agents.a: its working directory {work}/agent-folder does not exist yet",
        f"tickets t and u: working directory {work}/ticket-folder does not exist yet",
    ]


def test_a_prompt_in_a_file_is_read_before_the_night(work: Path) -> None:
    (work / "good.md").write_text("do it")
    (work / "nul.md").write_bytes(b"do\0it")
    plan = """
    [agents.a]
    command = ["true", "{prompt_file}"]
    [agents.shell]
    [tickets]
    good.prompt_file = "good.md"
    gone.prompt_file = "gone.md"
    nul.prompt_file = "nul.md"
    folder.prompt_file = "/etc"
    later.prompt_file = "made/x.md"
    make = { run = "true", writes = ["made"] }
    """
    assert found(plan, work) == [
        f"tickets.gone: prompt_file {work}/gone.md does not exist",
        f"tickets.nul: prompt_file {work}/nul.md has a NUL character, which no agent takes",
        "tickets.folder: prompt_file /etc cannot be read: Is a directory",
    ]


def test_a_file_that_is_read_must_exist_or_be_written_by_somebody(work: Path) -> None:
    (work / "there.txt").touch()
    (work / "dangling").symlink_to("nowhere")
    plan = """
    [defaults]
    run = "true"
    [tickets.writer]
    writes = ["out/a.txt", "gen/*.c", "lib"]
    [tickets.reader]
    reads = ["there.txt", "out/a.txt", "out", "gen/a.c", "gen/a.h", "lib/b/c", "lib2", "*.any", "dangling", "/gone"]
    """
    missing = [warning.split()[2] for warning in found(plan, work)]
    assert missing == ["gen/a.h:", "lib2:", "/gone:"]


def test_a_folder_is_written_where_something_in_it_is(work: Path) -> None:
    plan = """
    [defaults]
    run = "true"
    [tickets.writer]
    writes = ["audit/links.txt"]
    [tickets.reader]
    reads = ["audit/**"]
    """
    assert found(plan, work) == []


def test_a_folder_that_may_not_be_looked_into_stops_nothing(work: Path) -> None:
    locked = work / "locked"
    locked.mkdir()
    locked.chmod(0)
    try:
        found('[agents.a]\ncwd = "locked/in"\n[tickets.t]\nrun = "locked/tool"\nreads = ["locked/file"]\n', work)
    finally:
        locked.chmod(0o700)


def test_a_large_plan_is_looked_at_in_reasonable_steps(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def counting(a: patterns.Pattern, b: patterns.Pattern) -> bool:
        nonlocal looks
        looks += 1
        return patterns.overlap(a, b)

    monkeypatch.setattr(required, "overlap", counting)
    rows = (
        f't{n} = {{ run = "true", writes = ["out/{n}.txt"], reads = ["in/{n}.txt", "out/{n + 1}.txt"] }}\n'
        for n in range(3000)
    )
    text = "[tickets]\n" + "".join(rows)
    assert len(found(text, work)) == 3001
    assert looks == 0, "plain patterns are looked up"
    found(text.replace("writes = [", 'writes = ["tmp/*.x", '), work)
    assert looks <= 3001


# -- disk ------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_nearly_full_is_told(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(2**40, 2**40, 5 * 2**20))
    plan = '[plan]\nworkdir = "not/yet"\n[tickets.t]\nrun = "true"\n'
    disk = [warning for warning in found(plan, work) if "free" in warning]
    assert disk[0] == f"only 5MiB are free for the working directory, {work}"
    assert disk[1].startswith("only 5MiB are free for the state folder, ")


def test_a_disk_that_counts_no_blocks_is_not_short(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, 0))
    assert found('[tickets.t]\nrun = "true"\n', work) == []


def test_a_disk_that_does_not_answer_is_no_reason_to_fail(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Usage:
        raise OSError

    monkeypatch.setattr("shutil.disk_usage", broken)
    assert found('[tickets.t]\nrun = "true"\n', work) == []


# -- what is passed on as it is ----------------------------------------------------------------------------------


def test_a_word_in_braces_that_is_no_placeholder_is_told(work: Path) -> None:
    plan = """
    [agents.w]
    command = ["echo", "{promt}", "{prompt} ${HOME} {} {a,b}", "{model}"]
    [tickets.a]
    prompt = "{anything}"
    """
    assert found(plan, work) == [
        "agents.w: {promt} in its command is no placeholder and stays as it is; did you mean {prompt}?",
        "agents.w: {model} in its command is no placeholder and stays as it is",
    ]


def test_nothing_is_filled_in_in_arguments_of_a_coding_cli(work: Path) -> None:
    agent = '[agents.w]\nkind = "acp"\npermissions = "edit"\ncommand = ["true"]\nargs = ["--name", "{ticket}"]\n'
    plan = f'{agent}[tickets.a]\nprompt = "p"\n'
    assert found(plan, work) == ["agents.w: {ticket} stays as it is: nothing is filled in in `args`"]


@pytest.mark.parametrize(
    ("size", "agent", "expected"),
    [
        (99 << 10, 'command = ["echo", "{prompt}"]', ""),
        (101 << 10, 'command = ["echo", "{prompt}"]', "its prompt is long for the command of w"),
        (129 << 10, 'command = ["echo", "{prompt}"]', "its command cannot be started by w"),
        (300 << 10, 'kind = "acp"\npermissions = "edit"\ncommand = ["true"]', ""),
    ],
)
def test_a_prompt_in_an_argument_is_told_before_it_is_too_long(
    work: Path, size: int, agent: str, expected: str
) -> None:
    plan = f"[agents.w]\n{agent}\n[tickets.a]\nprompt = '{'x' * size}'\n"
    assert [text.partition(":")[2].partition(":")[0].strip() for text in found(plan, work)] == (
        [expected] if expected else []
    )


def test_a_placeholder_in_a_shell_command_is_told(work: Path) -> None:
    plan = "[tickets.a]\nrun = 'echo {ticket} {attempt} ${workdir} {other}'\n"
    assert found(plan, work) == [
        "tickets.a: {ticket} is not filled in here: write $PAREXEC_TICKET",
        "tickets.a: {attempt} is not filled in here: write $PAREXEC_ATTEMPT",
    ]


def test_a_unit_that_a_ticket_does_not_use_is_told(work: Path) -> None:
    plan = "[resources]\nport = ['81']\n[tickets.a]\nrun = 'serve {port}'\n"
    text = "tickets.a: {port} is not filled in, since it uses no port: write uses = { port = 1 }"
    assert text in found(plan, work)
    assert text not in found(f"{plan}uses.port = 1\n", work)


@pytest.mark.parametrize("value", ["${MY_KEY}", "$MY_KEY", "$(cat key)"])
def test_a_variable_in_an_environment_is_told(work: Path, value: str) -> None:
    what = (
        f"env.KEY is {value} to the letter: write it into the command, which inherits what you have: "
        f'KEY="{value}" COMMAND'
    )
    env = f"env.KEY = '{value}'\n"
    plan = f"[agents.w]\n{env}[defaults]\nrun = 'true'\n{env}[tickets]\na = {{}}\nb = {{}}\n"
    assert found(plan, work) == [f"agents.w: {what}", f"tickets a and b: {what}"]


def test_a_dollar_alone_is_no_variable(work: Path) -> None:
    assert found("[tickets.a]\nrun = 'true'\nenv = { COST = '5 $', REGEX = '^x$', N = '$5' }\n", work) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of one argument is Linux's")
@pytest.mark.parametrize("over", [False, True])
def test_what_the_kernel_would_not_take_is_told(work: Path, over: bool) -> None:
    """One byte more than the kernel passes on is told, and is really refused; one less is neither."""
    size = MAX_ARGUMENT - 1 + over
    run, variable = ": " + "x" * (size - 2), "x" * (size - len("BIG="))
    told = found(f"[tickets.a]\nrun = '{run}'\nenv.BIG = '{variable}'\n", work)

    longer = "longer than the 128KiB that the system takes in a variable"
    assert told == (
        [
            f"tickets.a: env.BIG is {longer}: nothing can be started",
            f"tickets.a: its command cannot be started by agent: the system takes 128KiB in one argument, it has "
            f"{MAX_ARGUMENT + 1} bytes; put the text into a file",
        ]
        if over
        else []
    )
    for argv, env in ((["sh", "-c", run], {}), (["true"], {"BIG": variable})):
        with pytest.raises(OSError, match="too long") if over else nullcontext():
            subprocess.run(argv, env={"PATH": os.environ["PATH"], **env}, check=True)


# -- what is required --------------------------------------------------------------------------------------------


def missing(text: str, folder: Path) -> list[tuple[str, str]]:
    return [(".".join(map(str, fault.path)), fault.message) for fault in unmet(read(text, folder))]


def test_all_that_is_required_and_not_here_is_told_at_once(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIVEN", "x")
    monkeypatch.delenv("MISSED", raising=False)
    text = """
    [plan]
    requires_commands = ["sh", "no-such-command"]
    requires_env = ["GIVEN", "MISSED"]
    [agents.a]
    env = { OWN = "1" }
    requires_env = ["OWN"]
    requires_files = ["venv/bin/python"]
    [tickets.t]
    requires_commands = ["python3 >= 99"]
    requires_env = ["OWN", "MINE"]
    env = { MINE = "1" }
    run = "true"
    """
    assert [path for path, _ in missing(text, work)] == [
        "plan.requires_commands.1",
        "plan.requires_env.1",
        "agents.a.requires_files.0",
        "tickets.t.requires_commands.0",
    ]


def test_what_a_ticket_writes_may_be_missing_yet_but_not_for_the_plan(work: Path) -> None:
    made = '[tickets.maker]\nrun = "make"\nwrites = ["venv/**", "gen"]\noutputs = ["out/*.html"]\n'
    wants = 'requires_files = ["venv/bin/python", "out/a.html", "out/*.html", "gen"]\nrequires_commands = ["./gen"]\n'
    assert missing(f'{made}[tickets.t]\nrun = "true"\n{wants}[agents.a]\n{wants}', work) == []
    assert len(missing(f"[plan]\n{wants}{made}", work)) == 5
    assert [path for path, _ in missing(f'{made}[tickets.t]\nrun = "true"\nrequires_files = ["other"]', work)] == [
        "tickets.t.requires_files.0"
    ]


def test_every_agent_type_that_may_run_a_ticket_must_have_what_it_requires(work: Path) -> None:
    text = """
    [agents.has]
    env = { KEY = "1" }
    [agents.lacks]
    [tickets.t]
    requires_env = ["KEY"]
    run = "true"
    """
    assert missing(text, work) == [("tickets.t.requires_env.0", "required variable KEY is not set")]
    assert missing(text.replace("[tickets.t]", '[tickets.t]\nagent = "has"'), work) == []


def test_files_with_variables_must_be_there_and_count_for_what_is_required(work: Path) -> None:
    text = """
    [services.s]
    run = "serve"
    env_file = ["no.env", "none?"]
    [tickets.t]
    requires_env = ["KEY"]
    env_file = [".env"]
    uses_service = ["s"]
    run = "true"
    [tickets.u]
    run = "true"
    writes = ["made.env"]
    [tickets.v]
    needs = ["u"]
    run = "true"
    env_file = ["made.env"]
    """
    (work / ".env").write_text("KEY=1")
    assert missing(text, work) == [("services.s.env_file.0", f"env_file {work}/no.env does not exist")]
    (work / ".env").write_text("OTHER=1\n=1")
    assert missing(text, work)[1:] == [
        (
            "tickets.t.env_file.0",
            f"env_file {work}/.env, line 2: write NAME=VALUE; a value with spaces or a # stands in quotes",
        ),
        ("tickets.t.requires_env.0", "required variable KEY is not set"),
    ]


# -- limits ----------------------------------------------------------------------------------------------------


def test_how_limits_are_kept_is_told_of_those_that_the_plan_names(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        '[agents.a]\nlimits = { open_files = 99 }\n[tickets.t]\nrun = "true"\nlimits = { memory = "64MiB", cpu = 1 }'
    )
    plan = read(text, work)
    assert list(preflight.limits_here(read('[tickets.t]\nrun = "true"', work))) == []
    monkeypatch.setattr(controllers, "find_controllers", lambda: Controllers(None))
    [line] = preflight.limits_here(plan)
    assert line == (
        "limits are kept here: memory of each process by itself, by RLIMIT_DATA; "
        "open_files of each process, by RLIMIT_NOFILE"
    )
    [warning] = (each for each in warnings(plan) if each.startswith("limits"))
    assert warning.startswith("limits.cpu cannot be kept on this machine (tickets.t); start plans with: parexec run")
    found = Controllers(None, frozenset(), {"cpu": "/c", "memory": "/m"})
    monkeypatch.setattr(controllers, "find_controllers", lambda: found)
    [line] = preflight.limits_here(plan)
    assert "memory by a cgroup (version 1); cpu by a cgroup (version 1); open_files" in line
    assert not [each for each in warnings(plan) if each.startswith("limits")]


def test_what_retries_cannot_raise_here_is_told(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    [agents.a]
    limits = { memory = "1GiB" }
    [agents.b]
    [defaults]
    run = "true"
    retries = 1
    retry_uses = { memory = "x2" }
    [tickets.limited]
    agent = "b"
    limits = { memory = "64MiB" }
    [tickets.by_agent]
    [tickets.claims]
    agent = "b"
    uses = { memory = "1MiB" }
    [tickets.plain]
    retry_uses = {}
    """
    plan = read(text, work)
    monkeypatch.setattr(controllers, "find_controllers", lambda: Controllers(None))
    [warning] = (each for each in warnings(plan) if each.startswith("retry_uses"))
    told = "retry_uses.memory has nothing to raise on this machine (tickets.limited and tickets.by_agent): without"
    assert warning.startswith(told)
    assert warning.endswith("start plans with: parexec run --scope, if your systemd uses cgroups of version 2")
    monkeypatch.setattr(controllers, "find_controllers", lambda: Controllers(None, frozenset(), {"memory": "/m"}))
    assert not [each for each in warnings(plan) if each.startswith("retry_uses")]


def test_what_worktrees_are_to_be_given_must_be_there_or_be_written(tmp_path: Path) -> None:
    work = new_repository(tmp_path / "work")
    (work / "there").touch()
    given = 'copy = ["there", "absent", "maybe?"]\nlink = ["made/by"]\n'
    plan = f'[agents.a]\nisolation = "worktree"\n{given}[tickets.t]\nrun = "true"\n'
    absent = ("agents.a.copy.1", f"{work}/absent does not exist, and no ticket writes it")
    assert missing(plan, work) == [
        absent,
        ("agents.a.link.0", f"{work}/made/by does not exist, and no ticket writes it"),
    ]
    assert missing(plan + 'writes = ["made/"]', work) == [absent]
