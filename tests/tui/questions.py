"""Sessions in which a person has one of four questions: what failed and why, what runs and how far it is, what is
everything waiting for, and what they must do.

The pictures of the screen show whether it answers before it is asked.
"""

from collections.abc import Callable

from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.core.coded import coded, said
from tests.core.coding import coding_session, says
from tests.core.sessions import Session, plan

_SHARDS = [f"test-linux-shard-{number:02}" for number in range(1, 13)]


def _titled(text: str, titles: dict[str, str]) -> Plan:
    made = plan(text)
    tickets = {
        id_: structs.replace(spec, title=titles.get(id_, f"Tests of the client, part {id_[-2:]}"))
        for id_, spec in made.tickets.items()
    }
    return structs.replace(made, settings=structs.replace(made.settings, name="Nightly"), tickets=tickets)


def _nightly() -> Session:
    """A nightly build whose tests run, a minute and a half after it began."""
    lines = ["compile: estimate=60s", *(f"{shard}: compile estimate=120s" for shard in _SHARDS)]
    lines += [f"package: {' '.join(_SHARDS)}", "upload: package"]
    titles = {"compile": "Compile the client", "package": "Package what passed", "upload": "Upload the packages"}
    session = Session(_titled("\n".join(lines), titles))
    session.dispatch()
    session.wait(60)
    session.succeed("compile")
    session.dispatch()
    session.wait(30)
    return session


def _fail(session: Session, id_: str, error_line: str) -> None:
    attempt = session.state.tickets[id_].attempts
    session.tell(rq.ProcessEnded(id_, attempt, 1, error_line=error_line))


def failed() -> Session:
    session = _nightly()
    _fail(session, _SHARDS[1], "ModuleNotFoundError: No module named 'billing'")
    session.dispatch()
    session.wait(10)
    return session


def frozen() -> Session:
    session = Session(
        _titled("\n".join(["compile:", *(f"{shard}: compile" for shard in _SHARDS)]), {"compile": "Compile"})
    )
    session.dispatch()
    session.wait(60)
    session.act(rq.Freeze(tickets=("compile",), by="ann"))
    session.wait(40)
    return session


def lock() -> Session:
    session = Session(_titled("\n".join(f"{shard}: locks=database estimate=120s" for shard in _SHARDS), {}))
    session.dispatch()
    session.wait(90)
    return session


def held() -> Session:
    session = _nightly()
    session.act(rq.Hold(by="ann"))
    session.wait(30)
    return session


def disk() -> Session:
    session = _nightly()
    session.apply(ev.HostPressed(at=session.now, resource="disk", text="1.2GiB free of at least 5GiB"))
    session.wait(30)
    return session


def conflict() -> Session:
    """Agents in worktrees: what one did conflicts with what is merged, and a person has to decide."""
    lines = ["parser: estimate=60s", "lexer: estimate=60s", "printer: estimate=120s", "release: lexer printer"]
    agents = {"coder": AgentType(min=3, isolation="worktree", on_conflict="hold")}
    session = Session(plan("\n".join(lines), agents=agents))
    session.dispatch()
    for id_ in ("parser", "lexer", "printer"):
        session.tell(rq.WorktreeMade(id_, 1, f"/w/{id_}", "base"))
    session.wait(50)
    session.succeed("parser", "lexer")
    session.tell(rq.WorkTried("parser", 1, rq.Work("base", "one", "base", "one"), step="commit"))
    session.tell(rq.WorkTried("parser", 1, rq.Work("base", "one", "base", "one"), step="merge"))
    found = rq.Conflict("base", "two", "one", ("src/parse.py",), 1, ("parser",))
    session.tell(rq.WorkTried("lexer", 1, conflict=found, step="commit"))
    session.wait(20)
    return session


def many() -> Session:
    """Two thousand tickets, of which three have failed."""
    text = "\n".join(f"unit-{n:04}: {f'unit-{n - 8:04}' if n >= 8 else ''}" for n in range(2000))
    session = Session(_titled(text, {}), checks=False)
    session.dispatch()
    for turn in range(30):
        session.wait(3)
        first, *others = sorted(session.live())
        session.succeed(*others)
        if turn in (5, 9, 20):
            _fail(session, first, "AssertionError: 3 != 4")
        else:
            session.succeed(first)
        session.dispatch()
    session.wait(20)
    return session


def agents() -> Session:
    """A night of coding agents: one needs an answer, one account rests, one type is not logged in, two work."""
    session = coded(
        """
        move-api: agent=free title=Move
        one-db: agent=claude
        deploy: agent=claude
        announce: deploy agent=claude
        schema: agent=team
        mails: agent=other
        lint: agent=shell
        """,
        team=AgentType(kind="claude", account="team"),
        other=AgentType(kind="claude", account="other"),
    )
    session.wait(60)
    _fail(session, "lint", "src/api.py:3: E501 Line too long")
    said(session, "deploy", "needs you", "denied: Bash", cost=0.41, inp=20_000, out=900)
    said(session, "schema", "limited", "You've hit your limit", until=session.now + 4320)
    said(session, "mails", "auth", "Invalid API key")
    session.wait(70)
    return session


QUESTIONS: dict[str, Callable[[], Session]] = {
    "well": _nightly,
    "failed": failed,
    "frozen": frozen,
    "lock": lock,
    "held": held,
    "engine": _nightly,
    "disk": disk,
    "conflict": conflict,
    "agents": agents,
    "many": many,
}

ANSWERS: dict[str, tuple[str, ...]] = {
    "well": ("4 running", "~25%", "no idle agent", "hard-05"),
    "failed": ("1 failed", "hard-02", "ModuleNotFoundError: No", "r retries", "4 running", "~33%"),
    "frozen": ("1 frozen", "agent-1 is frozen with compile, by ann", "12 wait for it", "f thaws"),
    "lock": (
        "1 running",
        "~75%",
        "lock database is held by",
        "test-linux-shard-01 runs on agent-1",
        "11 wait for it",
    ),
    "held": ("held, by ann", "P releases the session", "4 running", "hard-01"),
    "engine": ("no engine", "ctrl+r"),
    "disk": (
        "host short of disk: 1.2GiB free of at least 5GiB",
        "b shows the gauges",
        "host short of disk  ",
        "4 running",
    ),
    "conflict": (
        "1 conflict",
        "lexer conflicts with parser in src/parse.py; you de",
        "C shows",
        "lexer          conflicts with parser in src/parse.py",
    ),
    "agents": (
        "other needs you: not logged in: Invalid API key",
        "needs you: denied: Bash",
        "$ npm test --",
        "1m35",
        "writes src/db.py",
        "team is limited until 01:29 (1h10)",
        "≥$0.66",
    ),
    "many": ("3 failed", "AssertionError: 3 != 4", "unit-0096", "unit-0038", "unit-0020", "4 running", "unit-0165"),
}
"""What a stranger has to find on the screen, at every size."""


def denied() -> Session:
    """A coding agent was not allowed something, and needs a person."""
    session = coding_session("migrate:\nother:")
    session.dispatch()
    says(session, "migrate", "needs you", "denied: Bash")
    return session
