"""Made the folders beside this file: what a version of parexec leaves on a disk, for every later version to open.

    python tests/old_versions/make.py PAREXEC THEMES NAME

PAREXEC is the `parexec` command of the version, THEMES the folder of its themes, NAME the folder to make, in this
one. It only uses the command line, so it works for any version. Do not make a folder again that exists: run with
later code, it would prove nothing. Make one more when the format of anything here has changed, and add its name to
`VERSIONS` in `test_old_versions.py`.

    state/      the state folder: registry (with the WAL that a killed engine leaves), logs, exit records
    config/     settings.toml and themes of a person
    work/       plan files
    expected/   what the version itself said of each session: `show --json` and `events --json`
    protocol/   what a client said to an engine of the version, and what that answered

All sessions ran in BASE. A test that opens a copy elsewhere replaces that path.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

BASE = Path("/tmp/parexec-of-an-old-version")
WORK = BASE / "work"
STATE = BASE / "state"

ENDS = """
"$schema" = "plan.schema.json"

[plan]
name = "Ends"
parallel = 4
on_failure = "continue"
barrier = false
workdir = "."
min_free_disk = 0
on_engine_loss = "leave"

[defaults]
timeout = "10m"
grace = "1s"
env = { LANG = "C.UTF-8" }
uses = { cpu = 0.01 }

[resources]
cpu = 64
memory = "1GiB"
licence = 5

[agents.builder]
min = 1
max = 4
can = ["python", "prose"]
command = ["/bin/sh", "-c", "{run}"]
env = { MODE = "unattended" }
cwd = "."
nice = 0

[agents.writer]
max = 2
command = ["/bin/sh", "-c", 'echo "$1" of $2, attempt $3 in $4', "", "{prompt}", "{ticket}", "{attempt}", "{workdir}"]

[agents.robot]
max = 1
command = ["no-such-robot", "{prompt}"]

[hooks]
on_ticket_end = "true"
on_failure = "true"
on_needs_you = "echo $PAREXEC_REASON"
on_session_end = "true"
on_idle = "true"

[tickets.fine]
title = "Succeeds"
run = "echo all is well"
agent = "builder"
priority = "high"
requires = ["python"]
reads = ["data/**"]
writes = ["models/**", "facts.txt"]
locks = ["scoreboard"]
uses = { cpu = 0.02, memory = "1MiB", licence = 1 }
estimate = "1s"
timeout = "1m"
retries = 2
retry_delay = "50ms"
grace = "2s"
env = { COLOUR = "blue" }
cwd = "sub"

[tickets.second-try]
retries = 1
retry_delay = "50ms"
run = 'echo attempt $PAREXEC_ATTEMPT; [ "$PAREXEC_ATTEMPT" -gt 1 ]'

[tickets.prose]
prompt = "Describe it."
agent = "writer"
needs = ["fine"]

[tickets.exit-3]
run = "echo wrong >&2; exit 3"
retries = 1
retry_delay = "50ms"

[tickets.crash]
run = "sh -c 'kill -SEGV $$'"

[tickets.too-slow]
timeout = "300ms"
run = "echo waiting; sleep 600"

[tickets.no-command]
agent = "builder"
run = "no-such-command --version"

[tickets.robot-1]
agent = "robot"
prompt = "1"

[tickets.robot-2]
agent = "robot"
prompt = "2"

[tickets.robot-3]
agent = "robot"
prompt = "3"

[tickets.robot-4]
agent = "robot"
prompt = "4"

[tickets.killed]
run = "sh -c 'echo $$ > killed.pid; exec sleep 600'"

[tickets.cancelled]
run = "echo cancel me; sleep 600"

[tickets.never]
needs = ["cancelled"]
run = "true"

[tickets.given-up]
needs = ["gate"]
run = "true"

[tickets.waived]
needs = ["gate"]
run = "false"

[tickets.after-waived]
needs = ["waived"]
run = "echo after all"

[tickets.skipped]
needs = ["exit-3"]
run = "true"

[tickets.mended]
run = "[ -e mended ]"

[tickets.after-mended]
needs = ["mended"]
run = "echo mended"

[tickets.moved]
agent = "builder"
run = "echo on $PAREXEC_AGENT; until [ -e go ]; do sleep 0.02; done"

[tickets.froze]
run = "until [ -e go ]; do sleep 0.02; done"

[tickets.gate]
run = "until [ -e go ]; do sleep 0.02; done"
writes = ["gate.txt"]

[tickets.behind]
reads = ["*.txt"]
priority = "low"
run = "true"

[tickets.dropped]
needs = ["gate"]
run = "true"
"""

KILLED = """
[plan]
name = "Killed"
parallel = 12
min_free_disk = 0

[agents.builder]
max = 10

[agents.other]
max = 2

[tickets.done]
run = "echo done"

[tickets.failed]
run = "echo failed; exit 4"

[tickets.after-failed]
needs = ["failed"]
run = "true"

[tickets.ends-well]
run = "echo before; until [ -e go ]; do sleep 0.02; done; echo after"

[tickets.ends-badly]
run = "until [ -e go ]; do sleep 0.02; done; echo badly; exit 5"

[tickets.after-ends-well]
needs = ["ends-well"]
run = "echo so it goes on"

[tickets.runs]
run = "echo attempt $PAREXEC_ATTEMPT; until [ -e again ]; do sleep 0.02; done"
retries = 1
retry_delay = "50ms"

[tickets.frozen]
run = "echo attempt $PAREXEC_ATTEMPT; until [ -e again ]; do sleep 0.02; done"

[tickets.stopping]
grace = "10m"
run = "trap '' TERM; echo attempt $PAREXEC_ATTEMPT; until [ -e again ]; do sleep 0.02; done"

[tickets.moving]
grace = "10m"
agent = "builder"
run = "trap '' TERM; echo attempt $PAREXEC_ATTEMPT; until [ -e again ]; do sleep 0.02; done"

[tickets.backoff]
run = "echo attempt $PAREXEC_ATTEMPT; [ $PAREXEC_ATTEMPT -gt 1 ]"
retries = 3
retry_delay = "45s"

[tickets.held]
run = "echo held no more"

[tickets.pinned]
needs = ["ends-well"]
run = "echo on $PAREXEC_AGENT"

[tickets.waived]
needs = ["frozen"]
run = "false"

[tickets.cancelled]
needs = ["frozen"]
run = "true"

[tickets.after-cancelled]
needs = ["cancelled"]
run = "true"

[tickets.edited]
needs = ["frozen"]
run = "false"

[tickets.urgent]
needs = ["frozen"]
run = "true"

[tickets.dropped]
needs = ["frozen"]
run = "true"
"""

ACTED = """
[plan]
name = "Acted"
parallel = 3
min_free_disk = 0

[agents.builder]
max = 3

[agents.other]
max = 2

[tickets.gate]
run = "until [ -e go ]; do sleep 0.02; done"
retries = 1
retry_delay = "50ms"

[tickets.waived]
needs = ["gate"]
run = "true"

[tickets.cancelled]
needs = ["gate"]
run = "true"

[tickets.after-cancelled]
needs = ["cancelled"]
run = "true"

[tickets.urgent]
needs = ["gate"]
run = "true"

[tickets.pinned]
needs = ["gate"]
run = "true"

[tickets.edited]
needs = ["gate"]
run = "echo as planned"

[tickets.held]
needs = ["gate"]
run = "true"

[tickets.dropped]
needs = ["gate"]
run = "true"
"""

FRAGMENT = """
[tickets.added]
title = "Added while it ran"
needs = ["held"]
run = "echo added"
"""

LEFT = """
[plan]
name = "NAME"
parallel = 2
min_free_disk = 0

[tickets.first]
run = "echo $PAREXEC_ATTEMPT; touch began; until [ -e go ]; do sleep 0.02; done"

[tickets.second]
needs = ["first"]
run = "echo second"

[tickets.third]
needs = ["second"]
run = "echo third"
"""

CONVERSED = """
[plan]
name = "Conversed"
parallel = 2
min_free_disk = 0

[tickets.long]
run = "echo begun; until [ -e go ]; do sleep 0.02; done"

[tickets.later]
needs = ["long"]
run = "echo later"

[tickets.last]
needs = ["later"]
run = "until [ -e go ]; do sleep 0.02; done"
"""

SAID: list[dict[str, Any]] = [
    {"type": "hello", "version": 1, "client": "test", "by": "here", "follow": 0, "samples": True},
    {"type": "question", "id": 1, "about": "status"},
    {"type": "question", "id": 2, "about": "why"},
    {"type": "question", "id": 3, "about": "why", "tickets": ["later"]},
    {"type": "question", "id": 4, "about": "report"},
    {"type": "question", "id": 5, "about": "select", "words": ["l*", "status:running"]},
    {"type": "question", "id": 6, "about": "scope", "words": ["agent-1"]},
    {"type": "question", "id": 7, "about": "names", "words": ["la"]},
    {"type": "request", "id": 8, "dry_run": True, "request": {"verb": "cancel", "tickets": ["long"]}},
    {"type": "request", "id": 9, "request": {"verb": "hold", "tickets": ["later"]}},
    {"type": "request", "id": 10, "request": {"verb": "hold", "tickets": ["later"]}},
    {"type": "request", "id": 11, "request": {"verb": "release", "tickets": ["later"]}},
    {"type": "request", "id": 12, "request": {"verb": "hold", "tickets": ["nobody"]}},
    {"type": "request", "id": 13, "request": {"verb": "freeze", "tickets": ["long"]}},
    {"type": "request", "id": 14, "request": {"verb": "thaw", "tickets": ["long"]}},
    {"type": "request", "id": 15, "request": {"verb": "prioritise", "tickets": ["last"], "priority": "high"}},
    {"type": "request", "id": 16, "request": {"verb": "waive", "tickets": ["later"]}},
    {"type": "request", "id": 17, "request": {"verb": "undo"}},
    {"type": "request", "id": 18, "request": {"verb": "scale", "most": 3}},
    {"type": "request", "id": 19, "request": {"verb": "a verb of a later version"}},
    {"type": "request", "id": 20, "request": {"verb": "retry", "tickets": ["last"]}},
    {"type": "request", "id": 21, "request": {"verb": "reassign", "tickets": ["last"], "agent": "nobody"}},
    {"type": "request", "id": 22, "request": {"verb": "stop", "now": True}},
]
"""What a client says, line by line; each after the answer to the one before."""

SETTINGS = """
[screen]
theme = "harbour"
ascii = false
mouse = false
bell = false
notify = false

[keys]
hold = "H"
left = ["left", "ctrl+g"]
mouse = []

[hooks]
on_ticket_end = "echo ended $PAREXEC_TICKET $PAREXEC_END"
on_needs_you = "echo needs you $PAREXEC_REASON"
"""


class Version:
    """The `parexec` of one version, in BASE."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("PAREXEC_")} | {
            "XDG_STATE_HOME": str(STATE),
            "XDG_CONFIG_HOME": str(BASE / "config"),
            "XDG_RUNTIME_DIR": str(BASE / "run"),
            "LC_ALL": "C.UTF-8",
        }

    def say(self, *arguments: str, cwd: Path = WORK) -> str:
        """Run a command to its end; what it printed."""
        ran = subprocess.run(
            [self._command, *arguments], cwd=cwd, env=self._env, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise SystemExit(f"{arguments}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def verbs_for(self, session: str, folder: Path) -> Callable[..., str]:
        """Steer this session: call the result with a verb and its arguments."""
        return lambda *verb: self.say(*verb, "--yes", "-s", session, cwd=folder)

    def start(self, *arguments: str, cwd: Path) -> "subprocess.Popen[bytes]":
        """Start an engine in a process of its own, without a guardian."""
        return subprocess.Popen([self._command, *arguments, "--headless", "--quiet"], cwd=cwd, env=self._env)

    def report(self, session: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.say("show", session, "--json"))
        return found

    def events(self, session: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.say("events", session, "--json").splitlines()]

    def sessions(self) -> list[str]:
        return [json.loads(line)["session"] for line in self.say("ls", "--json").splitlines()]

    def tickets(self, session: str) -> dict[str, dict[str, Any]]:
        return {ticket["id"]: ticket for ticket in self.report(session)["tickets"]}

    def wait_for(self, session: str, statuses: str, *ids: str) -> None:
        """Wait until each of these tickets has one of these statuses."""
        until(
            lambda: all(self.tickets(session)[id_]["status"] in statuses.split() for id_ in ids),
            f"{ids}: {statuses}",
        )


def until(condition: Callable[[], Any], what: str) -> Any:
    give_up = time.monotonic() + 60
    while not (found := condition()):
        if time.monotonic() > give_up:
            raise SystemExit(f"waited in vain: {what}")
        time.sleep(0.05)
    return found


@contextmanager
def engine(
    version: Version, name: str, plan: str, *options: str
) -> Iterator[tuple[str, Path, "subprocess.Popen[bytes]"]]:
    """A new session of this plan: its id, its folder, and the process of its engine."""
    folder = WORK / name
    (folder / "sub").mkdir(parents=True)
    (folder / "plan.toml").write_text(plan.lstrip())
    known = version.sessions()
    process = version.start("run", "plan.toml", *options, cwd=folder)
    try:
        new = until(lambda: set(version.sessions()) - set(known), "a session")
        session = new.pop()
        until(lambda: version.report(session)["engine_pid"], "an engine")
        yield session, folder, process
    finally:
        process.kill()


def make_ends(version: Version) -> None:
    """A finished session in which nearly everything happens that can happen."""
    with engine(version, "ends", ENDS, "--hold") as (session, folder, process):
        do = version.verbs_for(session, folder)
        do("priority", "mended", "critical")
        do("hold", "agent:builder-1")
        do("release", "agent:builder-1")
        do("hold", "type:writer")
        do("release", "type:writer")
        do("hold", "second-try")
        do("release", "second-try")
        do("scale", "builder", "12")
        do("scale", "--parallel", "16")
        do("release")
        version.wait_for(session, "running", "killed", "cancelled", "froze", "moved", "gate")
        do("skip", "waived")
        do("cancel", "given-up")
        do("undo")
        do("cancel", "given-up")
        do("cancel", "cancelled")
        do("drain")
        do("release")
        do("freeze", "froze")
        do("thaw", "froze")
        do("drain", "agent:builder-1")
        do("reassign", "moved", "builder")
        do("reassign", "moved", next_idle(version, session, "builder"))
        version.wait_for(session, "running", "moved")
        do("edit", "behind", "title=Behind the gate")
        (folder / "more.toml").write_text(FRAGMENT.replace('["held"]', '["gate"]').lstrip())
        do("add", "more.toml")
        (folder / "plan.toml").write_text((folder / "plan.toml").read_text().partition("[tickets.dropped]")[0])
        (folder / "plan.toml").write_text((folder / "plan.toml").read_text() + FRAGMENT.replace('"held"', '"gate"'))
        do("reload")
        version.wait_for(session, "failed", "mended")
        (folder / "mended").touch()
        do("retry", "mended", "--note", "it is mended")
        os.kill(int((folder / "killed.pid").read_text()), signal.SIGKILL)
        version.wait_for(session, "failed", "killed", "too-slow", "no-command", "crash")
        (folder / "go").touch()
        until(lambda: process.poll() is not None, "the engine ends")


def next_idle(version: Version, session: str, kind: str) -> str:
    """An agent that could take a ticket now."""
    found: str = next(
        agent["id"]
        for agent in version.report(session)["agents"]
        if agent["status"] == "idle" and agent["type"] == kind
    )
    return found


def make_killed(version: Version) -> list[int]:
    """A session whose engine got kill -9 in mid-run; the process groups that are left, which still run."""
    with engine(version, "killed", KILLED, "--hold") as (session, folder, process):
        do = version.verbs_for(session, folder)
        do("hold", "held")
        do("scale", "builder", "12")
        do("scale", "--parallel", "14")
        do("release")
        live = ("ends-well", "ends-badly", "runs", "frozen", "stopping", "moving")
        version.wait_for(session, "running", *live)
        version.wait_for(session, "backoff", "backoff")
        version.wait_for(session, "failed", "failed")
        do("reassign", "pinned", "other")
        do("skip", "waived")
        do("cancel", "cancelled")
        do("priority", "urgent", "critical")
        do("edit", "edited", "run=echo edited")
        (folder / "more.toml").write_text(FRAGMENT.lstrip())
        do("add", "more.toml")
        text = (
            (folder / "plan.toml")
            .read_text()
            .replace('run = "false"\n\n[tickets.urgent]', 'run = "echo edited"\n\n[tickets.urgent]')
        )
        (folder / "plan.toml").write_text(text.partition("[tickets.dropped]")[0] + FRAGMENT.lstrip())
        do("reload")
        do("freeze", "frozen")
        version.wait_for(session, "frozen", "frozen")
        do("cancel", "stopping")
        do("reassign", "moving", "other")
        do("hold", "-r", "before lunch")
        pids = until(lambda: pids_of(version, session), "pids")
        process.kill()
        process.wait()
        (folder / "go").touch()
        attempts = STATE / "parexec" / "sessions" / session / "attempts"
        for id_ in ("ends-well", "ends-badly"):
            until(partial(has_ended, attempts / f"{id_}.1.exit"), f"{id_} ends")
        (folder / "go").unlink()
        return [pids[id_] for id_ in live[2:]]


def has_ended(record: Path) -> bool:
    return "exit" in record.read_text()


def make_acted(version: Version) -> list[int]:
    """A session in which a person did much that can be taken back; its engine got kill -9. As `make_killed`."""
    with engine(version, "acted", ACTED) as (session, folder, process):
        do = version.verbs_for(session, folder)
        version.wait_for(session, "running", "gate")
        do("skip", "waived")
        do("cancel", "cancelled")
        do("priority", "urgent", "critical")
        do("reassign", "pinned", "other")
        do("edit", "edited", "run=echo edited")
        (folder / "more.toml").write_text(FRAGMENT.lstrip())
        do("add", "more.toml")
        do("hold", "held")
        do("hold", "type:other")
        do("scale", "builder", "2")
        do("scale", "--parallel", "5")
        (folder / "dropped.toml").write_text((folder / "plan.toml").read_text().partition("[tickets.dropped]")[0])
        do("reload", "dropped.toml")
        group = until(lambda: pids_of(version, session), "a pid")["gate"]
        process.kill()
        process.wait()
        return [group]


def make_left(version: Version, name: str) -> None:
    """A session whose engine left with tickets left, since a person drained or stopped it."""
    with engine(version, name.lower(), LEFT.replace("NAME", name)) as (session, folder, process):
        until((folder / "began").exists, "first began")
        version.say("drain" if name == "Drained" else "stop", "--yes", "-s", session, cwd=folder)
        if name == "Drained":
            (folder / "go").touch()
        until(lambda: process.poll() is not None, "the engine ends")
        (folder / "go").unlink(missing_ok=True)


def make_resumed(version: Version) -> None:
    """A finished session: its first engine and the attempt that ran were killed, and it was resumed."""
    with engine(version, "resumed", LEFT.replace("NAME", "Resumed")) as (session, folder, process):
        until((folder / "began").exists, "first began")
        group = until(lambda: pids_of(version, session), "a pid")["first"]
        process.kill()
        process.wait()
        os.killpg(group, signal.SIGKILL)
    second = version.start("resume", session, cwd=folder)
    until(lambda: second.poll() is not None, "the second engine ends")


def pids_of(version: Version, session: str) -> dict[str, int]:
    """The process group of each ticket's attempt that was noted last."""
    return {event["ticket"]: event["pid"] for event in version.events(session) if event["kind"] == "attempt_spawned"}


def make_interrupted(version: Version) -> list[int]:
    """A session whose guardian gave up, as its engine died again and again; the process group that still runs."""
    folder = WORK / "interrupted"
    folder.mkdir()
    (folder / "plan.toml").write_text(LEFT.replace("NAME", "Interrupted").lstrip())
    session = version.say("run", "plan.toml", "--detach", "--quiet", cwd=folder).strip()
    until((folder / "began").exists, "first began")
    killed: set[int] = set()
    while (
        version.report(session)["state"] != "interrupted"
        or version.events(session)[-1]["kind"] != "session_interrupted"
    ):
        pid = version.report(session)["engine_pid"]
        if pid and pid not in killed:
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return list(pids_of(version, session).values())


def converse(socket_file: bytes) -> list[bytes]:
    """Say everything in SAID to an engine; all that it answers and tells, until it leaves."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(socket_file)
        with connection.makefile("rwb") as lines:
            for message in SAID:
                lines.write(json.dumps(message).encode() + b"\n")
                lines.flush()
                while not (heard and _answers(heard[-1], message)):
                    heard.append(lines.readline())
            heard += lines
    return heard


def _answers(line: bytes, message: dict[str, Any]) -> bool:
    answer = json.loads(line)
    if message["type"] == "hello":
        return bool(answer["type"] == "happened" and answer["event"]["kind"] == "attempt_spawned")
    return bool(answer["type"] == "answer" and answer["id"] == message["id"])


def make_protocol(version: Version, target: Path) -> None:
    """Talk with an engine of the version."""
    folder = WORK / "conversed"
    folder.mkdir(parents=True)
    (folder / "plan.toml").write_text(CONVERSED.lstrip())
    session = version.say("run", "plan.toml", "--detach", "--quiet", cwd=folder).strip()
    noted = (STATE / "parexec" / "sessions" / session / "socket").read_bytes()
    target.mkdir(parents=True)
    (target / "said.jsonl").write_text("".join(json.dumps(message) + "\n" for message in SAID))
    (target / "heard.jsonl").write_bytes(b"".join(converse(noted.rstrip(b"\n"))))


def make_config(themes: Path) -> None:
    """Settings, a theme that inherits, and one that stands alone: it has a style for every meaning of the version."""
    config = BASE / "config" / "parexec"
    (config / "themes").mkdir(parents=True)
    (config / "settings.toml").write_text(SETTINGS.lstrip())
    (config / "themes" / "harbour.toml").write_text(
        'inherits = "parexec-dark"\ntitle = "Harbour at night"\nbackground = "#101820"\n'
        '[colours]\nsky = "#5fb3d9"\nsea = "#2f6f8f"\n'
        '[styles]\nborder = "sea"\nselection = "on #203040"\nstatus-frozen = "bold italic cyan"\n'
    )
    alone = (themes / "parexec-dark.toml").read_text().replace('name = "parexec-dark"', 'name = "alone"')
    (config / "themes" / "alone.toml").write_text(alone)


def make(version: Version, themes: Path, target: Path) -> None:
    shutil.rmtree(BASE, ignore_errors=True)
    for folder in (WORK, STATE, BASE / "run"):
        folder.mkdir(mode=0o700, parents=True)
    make_config(themes)
    make_ends(version)
    make_left(version, "Drained")
    make_left(version, "Stopped")
    make_resumed(version)
    groups = make_interrupted(version)
    groups += make_acted(version)
    groups += make_killed(version)
    expected = target / "expected"
    expected.mkdir(parents=True)
    for session in version.sessions():
        (expected / f"{session}.show.json").write_text(version.say("show", session, "--json"))
        (expected / f"{session}.events.jsonl").write_text(version.say("events", session, "--json"))
    shutil.rmtree(BASE / "run")
    for name in ("state", "config", "work"):
        shutil.copytree(BASE / name, target / name, ignore=shutil.ignore_patterns("*.sock", "*-shm", "socket"))
    make_protocol(version, target / "protocol")
    for group in groups:
        os.killpg(group, signal.SIGKILL)
    shutil.rmtree(BASE)


if __name__ == "__main__":
    command = Path(sys.argv[1]).absolute()
    make(Version(str(command)), Path(sys.argv[2]), Path(__file__).with_name(sys.argv[3]))
