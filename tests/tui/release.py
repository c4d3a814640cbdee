"""A release of a program, in the middle of everything: what the tests of the screen look at.

The session was executed by the core's own rules, up to a moment at which some ticket stands in every way in which a
ticket can, and some agent in every way in which an agent can.
"""

from collections.abc import Callable, Iterator, Sequence
from math import sin
from pathlib import Path

from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import DiskSample, Doing, HostSample, Progress, Sampled, Usage
from parexec_tui.paths import session_folder
from tests.core.sessions import Session, plan

OPENED_AT = 1773478800.0
"""2026-03-14 09:00:00 UTC."""

GIB = 2**30

AGENTS = {
    "builder": AgentType(min=3, max=4, can=("make",)),
    "tester": AgentType(min=3, max=4, can=("test",)),
    "writer": AgentType(min=1, max=2, command=("claude", "-p", "{prompt}")),
}

TICKETS = """
fetch-core:    agent=builder estimate=40s                                  | Fetch the core
fetch-web:     agent=builder estimate=30s                                  | Fetch the web client
fetch-data:    agent=builder estimate=60s uses=licence:1                   | Fetch the reference data
toolchain:     agent=builder estimate=90s writes=tools/**                  | Build the toolchain
licences:      agent=tester estimate=20s                                   | Check the licences of what we ship
style:         agent=tester estimate=20s priority=low                      | Style of the sources
mirror:        agent=tester estimate=20s retries=3 retry_delay=90s         | Ask the mirror, which is not always there
core:          fetch-core toolchain agent=builder estimate=300s writes=out/core/** | Build the core
web:           fetch-web toolchain agent=builder estimate=200s writes=out/web/** | Build the web client
data:          fetch-data agent=builder estimate=120s writes=out/data/**   | Convert the reference data
draft:         fetch-core agent=writer prompt=Draft estimate=600s          | Draft the release notes from what changed
unit-core-1:   core agent=tester estimate=120s reads=out/core/**           | Unit tests of the core, first part
unit-core-2:   core agent=tester estimate=120s reads=out/core/**           | Unit tests of the core, second part
unit-core-3:   core agent=tester estimate=120s reads=out/core/** timeout=200s | Unit tests of the core, third part
unit-web-1:    web agent=tester estimate=90s                               | Unit tests of the web client, first part
unit-web-2:    web agent=tester estimate=90s locks=browser                | Unit tests of the web client, in a browser
lint-web:      web agent=tester estimate=30s priority=low                  | Lint the web client
data-check:    data agent=tester estimate=60s locks=database               | Check the converted data row by row
migrate:       data agent=builder estimate=240s locks=database             | Migrate the database of the last release
screenshots:   web agent=tester estimate=100s locks=browser                | Take the pictures of the manual
integration-1: unit-core-1 unit-web-1 agent=tester estimate=300s           | Core and web client together
integration-2: unit-core-2 unit-web-2 agent=tester estimate=300s           | The same with a slow network
integration-3: unit-core-3 data-check agent=tester estimate=300s           | The same with all of the data
load:          unit-core-1 migrate agent=tester estimate=900s uses=gpu:2   | A thousand clients at once
bench:         unit-core-2 agent=builder estimate=400s uses=gpu:1          | Benchmarks against the last release
links:         unit-core-2 agent=tester priority=low                       | Follow every link of the manual
coverage:      unit-core-1 agent=tester estimate=45s                       | How much of the core its tests reach
spoken:        unit-core-2 agent=tester priority=low                       | Have the pages read aloud by a machine
fuzz:          core agent=builder estimate=900s priority=low               | Fuzz the parsers for a quarter of an hour
docs-site:     draft agent=writer prompt=Site                              | The site of the manual
translate-de:  draft agent=writer prompt=German estimate=300s              | Die Anmerkungen auf Deutsch
translate-ja:  draft agent=writer prompt=Japanese estimate=300s            | リリースノートの日本語訳
translate-pt:  draft agent=writer prompt=Portuguese estimate=300s          | As notas em português
review:        docs-site screenshots agent=writer prompt=Review priority=high | Read everything once more
package-deb:   integration-1 integration-2 agent=builder estimate=60s      | Package for Debian
package-rpm:   integration-1 integration-2 agent=builder estimate=60s      | Package for Fedora
package-mac:   integration-1 agent=builder estimate=120s                   | Package for macOS, signed and notarised
package-win:   integration-3 agent=builder estimate=120s                   | Package for Windows
image:         package-deb agent=builder estimate=90s uses=licence:1       | The container image
smoke:         image agent=tester estimate=60s                             | Start the image and ask it for a page
sign:          package-deb package-rpm package-mac agent=builder locks=key priority=critical | Sign the packages
upload:        sign smoke agent=builder                                    | Upload to the mirrors
announce:      upload review translate-de translate-ja agent=writer prompt=Announce | Announce the release
"""


# -- the plan --------------------------------------------------------------------------------------------------


def release_plan() -> Plan:
    """A release of a program: forty tickets in eight groups, for builders, testers and writers."""
    lines = [line.partition("|") for line in TICKETS.strip().splitlines()]
    titles = {fields.partition(":")[0]: title.strip() for fields, _, title in lines}
    made = plan(
        "\n".join(fields for fields, _, _ in lines),
        agents=AGENTS,
        resources={"cpu": 8, "memory": 16 * GIB, "gpu": 2, "licence": 1},
        parallel=8,
    )
    tickets = {id_: _as_written(id_, spec, titles[id_]) for id_, spec in made.tickets.items()}
    return structs.replace(made, settings=structs.replace(made.settings, name="Release 4.2"), tickets=tickets)


def _as_written(id_: str, spec: Ticket, title: str) -> Ticket:
    """A ticket that says what it does: writers are told in prose, all others run a command."""
    if spec.prompt:
        return structs.replace(spec, title=title, run="", prompt=f"{title}.\nKeep it short.")
    return structs.replace(spec, title=title, run=f"make {id_}")


# -- what happened ---------------------------------------------------------------------------------------------


def release() -> Session:
    """The session in which that plan is executed, eleven minutes after it was opened."""
    session = Session(release_plan(), checks=False, is_open=False)
    session.now = OPENED_AT
    session.open()
    for seconds, happens in _STORY:
        session.now = OPENED_AT + seconds
        happens(session)
        for id_ in session.dispatch():
            session.spawned(id_, pid=4000 + len(session.journal))
    return session


def _quarantine(session: Session) -> None:
    reason = "3 attempts in a row could not start, the last: command not found (exit 127)"
    session.apply(ev.AgentQuarantined(at=session.now, agent="tester-2", reason=reason))


_RSYNC = "rsync error: timeout in data send/receive (code 30) at io.c(199)"


def _failed(session: Session, id_: str, error_line: str) -> None:
    attempt = session.state.tickets[id_].attempts
    session.tell(rq.ProcessEnded(id_, attempt, 1, error_line=error_line))


_STORY: Sequence[tuple[float, Callable[[Session], object]]] = (
    (0, lambda _: None),
    (32, lambda session: session.succeed("licences", "fetch-web")),
    (33, lambda session: _failed(session, "style", "src/api.c:12:5: error: unused variable 'count'")),
    (42, lambda session: session.succeed("fetch-core")),
    (42, lambda session: _failed(session, "mirror", _RSYNC)),
    (45, lambda session: session.act(rq.Waive(tickets=("style",), by="ann"))),
    (62, lambda session: session.succeed("fetch-data")),
    (102, lambda session: session.succeed("toolchain")),
    (192, lambda session: session.succeed("data")),
    (192, lambda session: session.back_off("mirror")),
    (252, lambda session: session.succeed("web")),
    (252, lambda session: _failed(session, "mirror", _RSYNC)),
    (292, lambda session: session.succeed("lint-web")),
    (330, lambda session: session.act(rq.Freeze(tickets=("migrate",), by="ann"))),
    (392, lambda session: session.succeed("unit-web-1")),
    (402, lambda session: session.succeed("core")),
    (500, lambda session: session.act(rq.Hold(tickets=("integration-1",), by="ann"))),
    (510, lambda session: session.back_off("mirror")),
    (532, lambda session: session.succeed("unit-core-1")),
    (533, _quarantine),
    (545, lambda session: session.succeed("unit-core-2")),
    (546, lambda session: session.act(rq.Cancel(tickets=("translate-pt",), by="bo"))),
    (602, lambda session: session.time_out("unit-core-3")),
    (604, lambda session: session.killed("unit-core-3")),
    (605, lambda session: session.act(rq.Hold(agents=("tester-4",), by="bo"))),
    (640, lambda session: _failed(session, "bench", "AssertionError: p99 is 61.2 ms, promised are 50 ms")),
    (641, lambda session: _failed(session, "mirror", _RSYNC)),
    (655, lambda session: session.act(rq.Cancel(tickets=("fuzz",), by="ann"))),
    (660, lambda _: None),
)
"""Seconds since the session was opened, and what happened then."""


def finish(session: Session) -> None:
    """Let go of all that is held, let all succeed that can still run, and end the session."""
    session.act(rq.Release(tickets=("integration-1",), agents=("tester-4",), by="ann"))
    session.killed("fuzz")
    session.back_off("mirror")
    session.dispatch()
    while session.state.live:
        session.wait(45)
        session.succeed(*session.live())
        session.dispatch()
    session.close()


# -- what was measured -----------------------------------------------------------------------------------------


def samples(now: float, count: int = 150) -> Iterator[Sampled]:
    """What the engine measured until now, every two seconds: the oldest first."""
    for age in reversed(range(count)):
        yield Sampled(host=_host(now - 2.0 * age, count - age), attempts=_USAGE, engine_cpu=0.012)


def _host(at: float, number: int) -> HostSample:
    """A host that is sometimes more busy and sometimes less."""
    wave = (1 + sin(number / 9)) / 2
    cpus = tuple(round(min(1.0, 0.15 + 0.8 * wave * (cpu % 3 + 1) / 3), 3) for cpu in range(8))
    return HostSample(
        at=at,
        cpu=round(sum(cpus) / len(cpus), 3),
        per_cpu=cpus,
        load=(4.2, 3.1, 2.6),
        memory_used=int((5 + 6 * wave) * GIB),
        memory_total=16 * GIB,
        swap_used=GIB // 4,
        swap_total=2 * GIB,
        disks=(DiskSample("disk", "/srv/release", 41 * GIB, 200 * GIB),),
        disk_read=2.5e6 * wave,
        disk_write=38e6 * (1 - wave),
        net_in=1.2e6 * wave,
        net_out=90e3,
        pressure={"cpu": round(0.3 * wave, 3), "memory": 0.0, "io": 0.04},
    )


_USAGE = (
    # Of the coding agents in `questions.agents`.
    Usage(
        "move-api",
        1,
        cpu=0.4,
        memory=410 * 2**20,
        processes=6,
        silence=95.0,
        log_size=812,
        progress=Progress(40, 2, 5),
        doing=Doing("$ npm test -- --watch=false", since=1035.0, done=2, of=5, inp=84_000, out=2_100, cached=250_000),
    ),
    Usage(
        "one-db",
        1,
        cpu=0.1,
        memory=390 * 2**20,
        processes=4,
        silence=2.0,
        log_size=700,
        doing=Doing("writes src/db.py", since=1128.0, inp=31_000, out=900, cost=0.25),
    ),
    Usage("draft", 1, cpu=0.02, memory=310 * 2**20, processes=4, silence=95.0, log_size=812),
    Usage("migrate", 1, cpu=0.0, memory=1300 * 2**20, processes=2, silence=330.0, log_size=90_000),
    Usage(
        "unit-web-2",
        1,
        cpu=1.7,
        memory=2 * GIB,
        processes=19,
        silence=0.4,
        log_size=1_204_000,
        progress=Progress(42, 3, 7, "unit/web/session"),
    ),
    Usage(
        "coverage", 1, cpu=0.9, memory=220 * 2**20, processes=1, silence=3.0, log_size=2_000, progress=Progress(88)
    ),
    Usage("links", 1, cpu=0.1, memory=45 * 2**20, processes=1, silence=None, log_size=0),
)


# -- what was written ------------------------------------------------------------------------------------------


def write_logs(session: Session) -> None:
    """A log for every attempt that has begun."""
    session_folder(session.state.session, create=True)
    for event in session.journal:
        if isinstance(event, ev.AttemptStarted):
            log_of(event.ticket, event.attempt).write_text(_output(event), encoding="utf-8")


def log_of(ticket: str, attempt: int = 1) -> Path:
    """The log of an attempt in a session called s1."""
    return session_folder("s1").attempts / f"{ticket}.{attempt}.log"


def _output(event: ev.AttemptStarted) -> str:
    lines = _OUTPUTS.get(event.ticket, ("make: Entering directory '/srv/release'", "\x1b[32mok\x1b[0m"))
    return "".join(f"{line}\n" for line in (f"{event.ticket}, attempt {event.attempt}", *lines))


_OUTPUTS: dict[str, Sequence[str]] = {
    "mirror": ("asking mirror.example.org", "\x1b[31merror: connection refused\x1b[0m"),
    "unit-web-2": (
        *(f"\x1b[32mok\x1b[0m {number} page {number} opens" for number in range(1, 40)),
        "\x1b[1;31mnot ok\x1b[0m 40 page 40 opens",
        "  error: expected <title>Prices</title>, found <title>Not found</title> after a redirect from /prices to "
        "/en/prices that the test does not expect, and that the web client of the last release did not have",
        *(f"\x1b[32mok\x1b[0m {number} page {number} opens" for number in range(41, 121)),
    ),
}
