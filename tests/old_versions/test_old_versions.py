"""What earlier versions left on a disk opens, replays, is shown, resumed and taken back by the code of now.

`make.py` made the folders. They are opened in copies, whose paths are those of the copy.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from zlib import crc32

import pytest
from click.testing import CliRunner
from rich.style import Style

from parexec_tui.cli.entry import cli
from parexec_tui.client.framing import decode, encode
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.core.wire.protocol import Happened
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.paths import RUNTIME_DIR, STATE_HOME, noted_socket, session_folder
from parexec_tui.settings import read_settings
from parexec_tui.tui.actions.table import keymap_of
from parexec_tui.tui.theme.palette import MEANINGS
from parexec_tui.tui.theme.themes import load
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import WITHIN, Engine, journal, sessions, stands_still, state_of, until
from tests.engine.lifecycle.detached import all_gone, run_detached
from tests.old_versions.make import BASE, CONVERSED, SAID, converse

VERSIONS = ("d6745c5", "7df2eca")
"""Commits: the last before each change of what is written. The newest stands last."""

Json = dict[str, Any]


class Old:
    """A copy of what a version left, where every command of this test finds it."""

    def __init__(self, version: str, place: Path) -> None:
        self.place = place
        self._origin = Path(__file__).with_name(version)
        shutil.copytree(self._origin, place)
        self._registry = place / "state" / "parexec" / "registry.db"
        with sqlite3.connect(self._registry) as db:
            replace_everywhere(db, str(BASE), str(place))
        db.close()

    def folder(self, name: str) -> Path:
        """Where a plan is."""
        return self.place / "work" / name

    def expected(self, name: str) -> str:
        return (self._origin / "expected" / name).read_text().replace(str(BASE), str(self.place))

    def happened_on(self, boot: str) -> None:
        """Have it as if the host had been started by this boot id."""
        events = journal(self.session("Killed"))
        (then,) = {event.boot for event in events if isinstance(event, ev.MonitoringStarted)}
        with sqlite3.connect(self._registry) as db:
            replace_everywhere(db, then, boot)
        db.close()

    def note_identity(self, session: str, ticket: str, pid: int, birth: float) -> None:
        """Have it that the live attempt of a ticket is this process."""
        self._change_spawned(session, ticket, lambda data: data | {"pid": pid, "birth": birth})

    def forget_identity(self, session: str, ticket: str) -> None:
        """Have it that the engine died before it noted the process of a ticket."""
        nothing = {"kind": "priority_changed", "ticket": ticket, "priority": "medium"}
        self._change_spawned(session, ticket, lambda data: nothing | {"at": data["at"]})

    def _change_spawned(self, session: str, ticket: str, change: Callable[[Json], Json]) -> None:
        """Change the event that tells the process of a ticket, the last one."""
        with sqlite3.connect(self._registry) as db:
            seq, data = db.execute(
                "SELECT seq, data FROM events WHERE session = (SELECT number FROM sessions WHERE session = ?)"
                " AND kind = 'attempt_spawned' AND CAST(data AS TEXT) LIKE ? ORDER BY seq DESC",
                (session, f'%"{ticket}"%'),
            ).fetchone()
            new = change(json.loads(data))
            db.execute(
                "UPDATE events SET kind = ?, data = CAST(? AS BLOB) WHERE seq = ?"
                " AND session = (SELECT number FROM sessions WHERE session = ?)",
                (new["kind"], json.dumps(new), seq, session),
            )
        db.close()

    def session(self, plan: str) -> str:
        (found,) = [id_ for id_ in sessions() if state_of(id_).plan.settings.name == plan]
        return found


def replace_everywhere(db: sqlite3.Connection, old: str, new: str) -> None:
    """Replace a text in every column of every table. It must not change what JSON escapes."""
    assert json.dumps(new) == f'"{new}"'
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, column, kind, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
            if kind in ("TEXT", "BLOB"):
                cast = f"CAST(replace(CAST({column} AS TEXT), ?, ?) AS {kind})"
                db.execute(
                    f"UPDATE {table} SET {column} = {cast} WHERE instr(CAST({column} AS TEXT), ?)", (old, new, old)
                )


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def old(version: str, own_state_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Old]:
    place = own_state_home.parent / "old"
    monkeypatch.setenv(STATE_HOME, str(place / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
    monkeypatch.setenv(RUNTIME_DIR, str(place))
    yield Old(version, place)
    while OldAttempt.running:
        OldAttempt.running.pop().end()


def test_every_session_is_what_it_was(old: Old) -> None:
    for session in sessions():
        then, now = (
            json.loads(text) for text in (old.expected(f"{session}.show.json"), say("show", session, "--json"))
        )
        assert differences(then, now) == []


def test_every_event_is_what_it_was(old: Old) -> None:
    for session in sessions():
        assert say("events", session, "--json") == old.expected(f"{session}.events.jsonl")


CLEARER_NOW = {("busy", "frozen"), ("idle", "stopped")}
"""What was said of an agent then, and is said now: that its ticket stands still is no work, and once its session is
over it is not idle. Nor does a session that was stopped or drained do so still."""


def differences(then: object, now: object, place: str = "") -> list[str]:
    """What was said then and is not said now. More may be said now than then."""
    if isinstance(then, dict) and isinstance(now, dict):
        return [each for key in then for each in differences(then[key], now.get(key, "nothing"), f"{place}.{key}")]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [
            each for n, pair in enumerate(zip(then, now, strict=True)) for each in differences(*pair, f"{place}.{n}")
        ]
    return [] if then == now or _is_clearer(then, now) else [f"{place}: {then} then, {now} now"]


def _is_clearer(then: object, now: object) -> bool:
    if (then, now) in CLEARER_NOW:
        return True
    if not isinstance(then, str) or not then.startswith("session "):
        return False
    return now == then.replace(" stopping", " stopped", 1).replace(" draining", " drained", 1)


def say(*arguments: str) -> str:
    """Run a command to its end, in this process; what it printed."""
    ran = CliRunner().invoke(cli, arguments)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_every_session_is_shown(old: Old) -> None:
    listed = say("ls")
    for session in sessions():
        assert session in listed
        tickets = state_of(session).tickets
        shown = say("show", session)
        assert [id_ for id_ in tickets if id_ not in shown] == []
        assert say("status", "-s", session).startswith(session)
        assert "opened" in say("events", session)
        (facts,) = json.loads(say("report", session, "--format", "json"))["sessions"]
        assert {each["id"] for each in facts["tickets"]} == tickets.keys()
        waited = sum(each["seconds"] for each in facts["lost"])
        assert waited == pytest.approx(facts["summary"]["waited_seconds"])


def test_the_output_of_every_attempt_is_found(old: Old) -> None:
    session = old.session("Ends")
    for id_, attempt, output in (
        ("fine", 1, "all is well\n"),
        ("second-try", 1, "attempt 1\n"),
        ("second-try", 2, "attempt 2\n"),
        ("exit-3", 2, "wrong\n"),
        ("prose", 1, f"Describe it. of prose, attempt 1 in {BASE}/work/ends\n"),
    ):
        assert say("log", id_, "-a", str(attempt), "-s", session) == output
    assert say("log", "ends-well", "-s", old.session("Killed")) == "before\nafter\n"


@pytest.mark.parametrize("boot", ["this boot", "another boot"])
def test_a_session_whose_engine_was_killed_goes_on(old: Old, boot: str) -> None:
    session, folder = old.session("Killed"), old.folder("killed")
    old.happened_on(boot_id() if boot == "this boot" else boot)
    engine = Engine("resume", session, cwd=folder)
    engine.until(lambda: state_of(session).tickets["runs"].attempts == 2, "what ran is settled")
    say("release", "held", "-s", session)
    (folder / "again").touch()
    assert engine.wait() == 1
    assert ends(session) == {
        "done": "succeeded",
        "failed": "failed",
        "after-failed": "skipped",
        "ends-well": "succeeded",
        "after-ends-well": "succeeded",
        "ends-badly": "failed",
        "runs": "succeeded",
        "frozen": "lost",
        "stopping": "cancelled",
        "moving": "succeeded",
        "backoff": "succeeded",
        "held": "succeeded",
        "pinned": "succeeded",
        "waived": "waived",
        "cancelled": "cancelled",
        "after-cancelled": "skipped",
        "edited": "skipped",
        "urgent": "skipped",
        "added": "succeeded",
    }
    attempts = {id_: ticket.attempts for id_, ticket in state_of(session).tickets.items()}
    assert {id_: attempts[id_] for id_ in ("done", "ends-well", "runs", "moving", "backoff")} == {
        "done": 1,
        "ends-well": 1,
        "runs": 2,
        "moving": 2,
        "backoff": 2,
    }
    assert say("log", "moving", "-s", session) == "attempt 2\n"
    assert say("log", "moving", "-a", "1", "-s", session) == "attempt 1\n"
    assert say("log", "pinned", "-s", session).startswith("on other-")
    assert ("the host was restarted" in say("show", session)) == (boot == "another boot")
    assert "ended backoff succeeded" in (session_folder(session).path / "hooks.log").read_text()


def ends(session: str) -> dict[str, str]:
    """The status that is shown of each ticket."""
    return {ticket["id"]: ticket.get("end", ticket["status"]) for ticket in shown(session)["tickets"]}


def shown(session: str) -> Json:
    report: Json = json.loads(say("show", session, "--json"))
    return report


@pytest.mark.parametrize(("plan", "first"), [("Drained", 1), ("Stopped", 2)])
def test_a_session_whose_engine_left_goes_on(old: Old, plan: str, first: int) -> None:
    session, folder = old.session(plan), old.folder(plan.lower())
    (folder / "go").touch()
    assert Engine("resume", session, cwd=folder).wait() == 0
    assert {id_: ticket.attempts for id_, ticket in state_of(session).tickets.items()} == {
        "first": first,
        "second": 1,
        "third": 1,
    }


def test_a_session_whose_guardian_gave_up_goes_on(old: Old) -> None:
    session, folder = old.session("Interrupted"), old.folder("interrupted")
    assert Engine("resume", session, cwd=folder).wait() == 1
    assert ends(session) == {"first": "lost", "second": "skipped", "third": "skipped"}


def test_a_finished_session_takes_retries(old: Old) -> None:
    session, folder = old.session("Resumed"), old.folder("resumed")
    assert Engine("resume", session, cwd=folder).wait() == 1
    (folder / "go").touch()
    assert Engine("resume", session, "--retry-failed", cwd=folder).wait() == 0
    assert ends(session) == dict.fromkeys(("first", "second", "third"), "succeeded")


def test_what_a_person_did_is_taken_back(old: Old) -> None:
    session, folder = old.session("Acted"), old.folder("acted")
    engine = Engine("resume", session, cwd=folder)
    engine.until(lambda: state_of(session).tickets["gate"].attempts == 2, "what ran is settled")
    acted = [event.text for event in journal(session) if isinstance(event, ev.OperatorActed)]
    undone = [say("undo", "--yes", "-s", session) for _ in acted]
    assert [text for text, said in zip(reversed(acted), undone, strict=True) if f"undo: {text}" not in said] == []
    (folder / "go").touch()
    assert engine.wait() == 0
    planned = list(state_of(session).plan.tickets)
    assert ends(session) == dict.fromkeys(planned, "succeeded")
    assert say("log", "edited", "-s", session) == "as planned\n"
    assert (state_of(session).parallel, state_of(session).agent_limits["builder"]) == (3, 3)


def test_the_settings_and_themes_of_a_person_are_read(old: Old) -> None:
    settings = read_settings()
    assert (settings.screen.theme, settings.screen.bell) == ("harbour", False)
    assert settings.keys == {"hold": ("H",), "left": ("left", "ctrl+g"), "mouse": ()}
    assert settings.hooks.on_ticket_end == "echo ended $PAREXEC_TICKET $PAREXEC_END"
    assert keymap_of(settings)
    for name in ("harbour", "alone"):
        palette = load(name)
        assert all(isinstance(palette[meaning], Style) for meaning in MEANINGS)
    assert load("harbour")["border"] == Style.parse("#2f6f8f")


def test_plan_files_are_read(old: Old) -> None:
    """The plan of `ends` has every key."""
    for plan in sorted((old.place / "work").glob("*/plan.toml")):
        assert "tickets in" in say("validate", str(plan))


def test_a_client_of_now_understands_an_engine_of_then(version: str) -> None:
    for line in protocol(version, "heard"):
        message = decode(json.dumps(line).encode())
        if isinstance(message, Happened):
            codec.decode_event(bytes(message.event))
        assert differences(line, json.loads(encode(message))) == []


def test_a_client_of_then_is_understood_by_an_engine_of_now(version: str, tmp_path: Path) -> None:
    assert protocol(version, "said") == SAID
    session = run_detached(tmp_path, CONVERSED)
    noted = noted_socket(session)
    assert noted is not None
    heard = [json.loads(line) for line in converse(bytes(noted))]
    assert gist(heard) == gist(protocol(version, "heard"))
    until(all_gone, "the engine leaves")


def protocol(version: str, who: str) -> list[Json]:
    """What was said by a client or heard from an engine."""
    text = (Path(__file__).with_name(version) / "protocol" / f"{who}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def gist(messages: list[Json]) -> list[object]:
    """What must be the same in each conversation: neither times nor what processes do meanwhile."""
    return [gist_of(message) for message in messages if not is_by_the_way(message)]


def is_by_the_way(message: Json) -> bool:
    return message["type"] == "sampled" or (
        message["type"] == "happened" and message["event"]["kind"] in ("attempt_spawned", "attempt_ended")
    )


ADDED_TO_STATUS = {
    "trouble",
    "beside",
    "roots",
    "needs_you",
    "viewers",
    "ready",
    "bottlenecks",
    "unclaimed",
    "conflicts_ahead",
    "decided",
    "held",
    "selected",
    "of",
    "services",
    "no_eta",
    "pressure",
    "steps",
    "usage",
    "gpus",
    "tuning",
    "answers_wanted",
    "rests",
    "figures",
    "spent",
    "variables",
    "profile",
    "not_known",
    "hosts",
}
"""Facts that a client of then does not know, and ignores."""


def gist_of(message: Json) -> object:
    match message:
        case {"type": "happened", "event": event}:
            return event["kind"], event.get("ticket")
        case {"type": "answer", "id": id_, "events": events}:
            return id_, [event["kind"] for event in events], len(message.get("preview", ()))
        case {"type": "answer", "id": id_, "refusal": refusal}:
            said = refusal.replace('"skip ', '"waive ')  # as that is called now
            return id_, re.sub(r'^("[^"]*") cannot be taken back any more: ', r"too late to undo \1: ", said)
        case {"type": "answer", "id": id_, "facts": facts}:
            return id_, set(facts) - ADDED_TO_STATUS if "engine_pid" in facts else facts
        case _:
            return message["type"], message.get("reason")


OLD_SHELL = """echo "start $$" >&9 || exit 125
trap : HUP INT QUIT TERM USR1 USR2
cd -- "$1" || { echo "nocwd" >&9; exit 126; }
_run=$2; shift 2
(eval " $_run") 9>&-
_code=$?; echo "exit $_code" >&9 || kill -KILL $$; exit $_code
"""
"""What the process of an attempt runs, in versions up to d6745c5."""


class OldAttempt:
    """An attempt that an engine of that version started, and that still runs."""

    running: ClassVar[list["OldAttempt"]] = []
    """Those of this test, to be ended after it."""

    def __init__(self, session: str, ticket: str, workdir: Path) -> None:
        attempts = session_folder(session).attempts
        record = attempts / f"{ticket}.1.exit"
        record.unlink()
        place = f"{session}@{crc32(os.fsencode(attempts.resolve())):08x}"
        run = state_of(session).tickets[ticket].spec.run
        self.process = subprocess.Popen(
            [
                *("/bin/sh", "-c", 'exec 9>>"$1" >>"$2" 2>&1; shift 2; exec "$@"', "sh"),
                *(record, attempts / f"{ticket}.1.log"),
                *("/bin/sh", "-c", OLD_SHELL, "/bin/sh", workdir, run),
            ],
            stdin=subprocess.DEVNULL,
            env=dict(os.environ) | {"PAREXEC_COOKIE": f"{place}/{ticket}.1", "PAREXEC_ATTEMPT": "1"},
            start_new_session=True,
        )
        self.running.append(self)
        until(lambda: record.exists() and record.read_text().endswith("\n"), f"{ticket} begins")
        self.birth = float(Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[19])

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(WITHIN)

    def is_stopped(self) -> bool:
        return stands_still(self.process.pid)


def test_what_an_engine_of_the_old_version_started_is_adopted(old: Old) -> None:
    """With its identity in the journal, as `frozen` is; or only in its record, if the engine died before."""
    session, folder = old.session("Killed"), old.folder("killed")
    old.happened_on(boot_id())
    attempts = {id_: OldAttempt(session, id_, folder) for id_ in ("frozen", "runs")}
    old.note_identity(session, "frozen", attempts["frozen"].process.pid, attempts["frozen"].birth)
    old.forget_identity(session, "runs")
    os.killpg(attempts["frozen"].process.pid, signal.SIGSTOP)

    engine = Engine("resume", session, cwd=folder)
    engine.until(lambda: state_of(session).tickets["moving"].attempts == 2, "what ran is settled")
    assert state_of(session).tickets["frozen"].attempts == state_of(session).tickets["runs"].attempts == 1
    assert attempts["frozen"].is_stopped()
    assert not attempts["runs"].is_stopped()
    say("thaw", "frozen", "-s", session)
    until(lambda: not attempts["frozen"].is_stopped(), "it is thawed")
    say("release", "held", "-s", session)
    (folder / "again").touch()
    assert engine.wait() == 1
    assert {id_: ends(session)[id_] for id_ in ("frozen", "runs", "edited")} == {
        "frozen": "succeeded",
        "runs": "succeeded",
        "edited": "succeeded",
    }
    assert say("log", "runs", "-s", session) == "attempt 1\n" * 2


def test_a_process_of_the_old_version_that_no_attempt_is_known_of_is_ended(old: Old) -> None:
    session, folder = old.session("Drained"), old.folder("drained")
    stray = OldAttempt(session, "first", folder)
    assert Engine("resume", session, cwd=folder).wait() == 0
    assert stray.process.wait(WITHIN) == 128 + signal.SIGTERM
