"""Files of old formats always open, newer ones are left alone, and a step that fails stays pending."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.history import TicketHistory
from parexec_tui.registry import migrations
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.errors import RegistryError, RegistryMissing
from parexec_tui.registry.events import EventRow
from parexec_tui.registry.filling import fill_seconds
from parexec_tui.registry.registry import Registry

AT = 1767323045.0
"""When the session in `v1.db` started."""


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    return Path(shutil.copy(Path(__file__).with_name("v1.db"), tmp_path))


def tables(file: Path) -> list[tuple[str, str]]:
    db = sqlite3.connect(file)
    rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    db.close()
    return rows


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_of_format_1_opens_for_ever(v1: Path, read_only: bool) -> None:
    with Registry.open(v1, read_only=read_only) as registry:
        docs, build = registry.sessions()
        assert (build.session, build.name, build.status) == ("exec_20260102_030405", "Build", "running")
        assert (docs.session, docs.name, docs.status) == (
            "exec_20260102_030405_2",
            "Standardise the docs",
            "finished",
        )
        assert (docs.started, docs.ended, docs.boot, docs.pid) == (AT, AT + 3, "c0ffee", 4321)
        assert (docs.total, docs.succeeded, docs.failed) == (2, 1, 1)
        assert (docs.source, docs.workdir) == ("/home/ada/plan.toml", "/home/ada")
        assert docs.folder.endswith(docs.session)
        assert registry.plan(docs.session) == b'{"name":"Build"}'
        assert list(registry.events(docs.session)) == [
            EventRow(1, AT, "SessionStarted", b'{"session":1}'),
            EventRow(2, AT + 1, "AttemptStarted", b'{"ticket":"T1","agent":"builder-1"}'),
            EventRow(3, AT + 3, "AttemptEnded", '{"ticket":"T1","reason":"é"}'.encode()),
        ]
        first, second = registry.attempts(docs.session)
        assert first == AttemptFact(
            "T1", 1, "builder-1", AT + 1, AT + 3, "succeeded", 0, None, "", "attempts/T1.1.log", 1024, 0.5
        )
        assert (second.end, second.signal, second.reason) == ("failed", 9, "killed")
        settings = PlanSettings(name="Standardise the docs")
        plan = Plan(
            settings=settings, tickets={"T1": Ticket()}, agents={}, workdir="/w", source="/home/ada/plan.toml"
        )
        assert registry.history(plan) == {"T1": TicketHistory(p50=2.0, p90=2.0, peak=1024)}


def test_a_file_of_format_1_goes_on(v1: Path) -> None:
    with Registry.open(v1) as registry:
        registry.append("exec_20260102_030405_2", [(4, AT + 4, "SessionResumed", b"{}")], status="running")
        assert registry.session("exec_20260102_030405_2").ended is None


def test_an_old_file_brought_up_to_date_is_like_a_new_one(v1: Path, tmp_path: Path) -> None:
    Registry.open(v1).close()
    Registry.open(tmp_path / "new.db").close()
    assert tables(v1) == tables(tmp_path / "new.db")


PUT_BY_FORMAT_3 = """
    INSERT OR REPLACE INTO attempts
        (session, ticket, attempt, agent, started, ended, "end", code, signal, reason, log,
         peak_memory, cpu_seconds)
    VALUES (2, ?, 1, 'a-1', 5.0, 6.0, 'succeeded', 0, NULL, '', 'T2.1.log', 1024, 0.5)
"""


def test_an_engine_of_format_3_that_still_writes_is_read(v1: Path) -> None:
    old = sqlite3.connect(v1, isolation_level=None)
    for step in migrations.MIGRATIONS[1:3]:
        for statement in step:
            old.execute(statement)
    old.execute("PRAGMA user_version = 3")
    old.execute(PUT_BY_FORMAT_3, ("T8",))
    with Registry.open(v1) as registry:
        old.execute(PUT_BY_FORMAT_3, ("T9",))
        session = registry.sessions()[0].session
        found = {each.ticket: each for each in registry.attempts(session)}
        for ticket in ("T8", "T9"):
            assert (found[ticket].peak_memory, found[ticket].disk_read) == (1024, None)
        new = AttemptFact("T9", 2, "a-1", 7.0, 8.0, peak_processes=3, disk_read=4096, disk_written=8192)
        registry.append(session, [], attempts=[new])
        assert registry.attempts(session, "T9")[-1] == new
    old.close()


PUT_BY_FORMAT_4 = """
    INSERT INTO attempts (session, ticket, attempt, agent, started, ended, "end", reason, log)
    VALUES (2, ?, 1, 'a-1', 5.0, 9005.0, 'succeeded', '', '')
"""


@pytest.mark.parametrize("read_only", [False, True])
def test_what_attempts_took_is_filled_in_from_events_as_far_as_these_tell(v1: Path, read_only: bool) -> None:
    """What froze over night took minutes; the columns had its start and its end only."""
    old = sqlite3.connect(v1)
    for step in migrations.MIGRATIONS[1:4]:
        for statement in step:
            old.execute(statement)
    old.execute("PRAGMA user_version = 4")
    events = [
        b'{"attempt_ended"',
        b"\xff",
        b'{"ticket":"T8","attempt":1,"seconds":90.5,"at":9005.0}',
        b'{"ticket":"T8","attempt":1,"seconds":7.0,"ended_before":true}',
        b'{"ticket":"T9","attempt":1}',
    ]
    for seq, data in enumerate(events, 11):
        old.execute("INSERT INTO events VALUES (2, ?, 1.0, 'attempt_ended', ?, NULL)", (seq, data))
    for ticket in ("T8", "T9"):
        old.execute(PUT_BY_FORMAT_4, (ticket,))
    old.commit()
    with Registry.open(v1, read_only=read_only) as registry:
        session = registry.sessions()[0].session
        took = {each.ticket: each.seconds for each in registry.attempts(session)}
        assert took == {"T1": None, "T2": None, "T8": 90.5, "T9": None}
        plan = Plan(
            settings=PlanSettings(), tickets={"T8": Ticket()}, agents={}, workdir="/w", source="/home/ada/plan.toml"
        )
        assert registry.history(plan)["T8"].p50 == 90.5
    old.close()


def test_only_so_many_events_are_looked_at(v1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parexec_tui.registry.filling._MOST_EVENTS", 4)
    Registry.open(v1).close()
    db = sqlite3.connect(v1, isolation_level=None)
    db.execute(
        "INSERT INTO events VALUES (2, 4, 1.0, 'attempt_ended', ?, NULL)",
        ('{"ticket":"T1","attempt":1,"seconds":1}',),
    )
    for last, took in ((5, None), (4, 1.0)):
        db.execute("UPDATE sessions SET last = ?", (last,))
        fill_seconds(db)
        assert db.execute("SELECT seconds FROM attempts WHERE session = 2 AND ticket = 'T1'").fetchone() == (took,)
    db.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_of_a_newer_parexec_is_left_alone(v1: Path, read_only: bool) -> None:
    db = sqlite3.connect(v1)
    db.execute("PRAGMA user_version = 999")
    db.close()
    before = v1.read_bytes()
    with pytest.raises(RegistryError, match=r"written by a newer parexec: .* 999, .*upgrade") as refused:
        Registry.open(v1, read_only=read_only)
    assert str(v1) in str(refused.value)
    assert v1.read_bytes() == before


def test_a_file_that_was_only_just_created_is_not_there_yet_and_opens(tmp_path: Path) -> None:
    """Its maker died between creating it and making the tables."""
    file = tmp_path / "registry.db"
    file.touch()
    with pytest.raises(RegistryMissing):
        Registry.open(file, read_only=True)
    assert file.read_bytes() == b""
    with Registry.open(file) as registry:
        assert registry.sessions() == []


def test_a_step_that_fails_stays_pending_and_leaves_nothing(v1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Registry.open(v1).close()
    before = tables(v1)
    steps = migrations.MIGRATIONS
    good = "CREATE TABLE notes (note TEXT)"
    monkeypatch.setattr(migrations, "LATEST", len(steps) + 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*steps, (good, "CREATE TABLE sessions (again TEXT)")))
    with pytest.raises(RegistryError, match="already exists"):
        Registry.open(v1)
    assert tables(v1) == before

    monkeypatch.setattr(migrations, "MIGRATIONS", (*steps, (good,)))
    Registry.open(v1).close()
    assert ("notes", good) in tables(v1)


def test_reading_an_old_file_brings_it_up_to_date_first(v1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "LATEST", migrations.LATEST + 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, ("CREATE TABLE notes (note TEXT)",)))
    with Registry.open(v1, read_only=True) as registry:
        assert len(registry.sessions()) == 2
    assert "notes" in dict(tables(v1))
