"""Commands of the palette that are about files, and that every command of the command line has its place here."""

import csv
import json
from pathlib import Path

import pytest
from msgspec import structs

from parexec_tui.cli.entry import LAZY_COMMANDS
from parexec_tui.core.plan.agent_type import SHELL, AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.registry import Registry
from parexec_tui.report.formats import ENDINGS, WriteError
from parexec_tui.report.writing import write_report
from parexec_tui.tui.actions import palette, screen_commands
from parexec_tui.tui.actions.commands import COMMANDS, NOT_INSIDE, SAME_AS
from parexec_tui.tui.actions.file_commands import paths
from parexec_tui.tui.actions.table import ACTIONS
from tests.core.sessions import Session
from tests.engine.lifecycle.detached import parexec
from tests.tui.dialogs.test_palette import open_and_type, rows, said, typed
from tests.tui.harness import run_app

PLAN = """
[tickets.A]
run = "true"
[tickets.B]
needs = ["A"]
run = "true"
"""


def read(text: str, file: Path) -> Plan:
    return structs.replace(
        read_plan(text, source=str(file), folder=str(file.parent), format="toml"), source=str(file)
    )


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def content(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def hidden(folder: Path) -> list[Path]:
    return list(folder.glob(".*"))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plan file, in the current folder."""
    found = tmp_path / "plan.toml"
    found.write_text(PLAN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def played(file: Path, own_state_home: Path) -> Session:
    """A session of that plan, which the registry knows too: A runs, B waits for it."""
    session = Session(read(PLAN, file))
    session.dispatch()
    with Registry.open(registry_file()) as registry:
        registry.create_session(
            "s1",
            name="plan",
            plan=codec.encode_plan(session.plan),
            source=str(file),
            folder=str(session_folder("s1").path),
            workdir=session.plan.workdir,
            at=session.now,
            boot="",
            pid=0,
        )
        entries = [
            (seq, event.at, codec.kind_of(event), codec.encode(event)) for seq, event in enumerate(session.journal, 1)
        ]
        registry.append("s1", entries)
    return session


# -- every command has its place ---------------------------------------------------------------------------------


def test_every_command_of_the_command_line_is_in_the_palette_or_says_why_not() -> None:
    inside = {command.word for command in COMMANDS} | {action.name for action in ACTIONS}
    inside |= {f"panel {name}" for name in ("tickets", "events", "claims")}
    for names in LAZY_COMMANDS.values():
        for name in names:
            assert (SAME_AS.get(name, name) in inside) != (name in NOT_INSIDE), name


@pytest.mark.asyncio
async def test_a_command_that_is_for_a_shell_says_so() -> None:
    async with run_app(played=Session("A:"), size=(80, 24)) as ui:
        await open_and_type(ui, "validate")
        await ui.press("enter")
        assert "a plan is checked from a shell: parexec validate PLAN" in said(ui)
        assert ui.dialog == "CommandPalette"


# -- reload ------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_reload_shows_what_changed_and_takes_it_over_once_that_is_wanted(played: Session, file: Path) -> None:
    write(file, f"{PLAN.replace('B]', 'C]')}[agents.agent]\n[agents.more]\nmax = 2\n")
    async with run_app(played=played, size=(80, 24)) as ui:
        await open_and_type(ui, "reload")
        await ui.press("space", "enter")
        await ui.until(lambda: ui.dialog == "Confirm", "it is asked")
        assert "Take over what changed?" in ui.text()
        assert "+ agent type more  max 2" in ui.text()
        assert "+ C  needs A" in ui.text()
        assert "- B" in ui.text()
        await ui.press("n")
        assert ui.asked == []
        await open_and_type(ui, "reload plan.toml")
        await ui.press("enter")
        await ui.until(lambda: ui.dialog == "Confirm", "it is asked")
        await ui.press("y")
        asked = await ui.done()
        more = AgentType(max=2, shell=SHELL)
        assert asked == rq.Amend(added={"C": Ticket(needs=("A",), run="true")}, dropped=("B",), agents={"more": more})
        assert list(ui.played.state.tickets) == ["A", "C"]


@pytest.mark.asyncio
async def test_mistakes_in_a_file_are_all_shown_with_their_places(played: Session, file: Path) -> None:
    write(file, PLAN.replace('["A"]', '["X"]').replace("run", "rum", 1))
    async with run_app(played=played, size=(100, 24)) as ui:
        await open_and_type(ui, "reload plan.toml")
        await ui.press("enter")
        await ui.until(lambda: ui.dialog == "MessageDialog", "they are shown")
        assert "plan.toml; nothing was changed" in ui.text()
        assert "plan.toml:3:1" in ui.text()
        assert "did you mean `run`?" in ui.text()
        assert ui.asked == []


@pytest.mark.asyncio
async def test_a_file_that_says_what_the_plan_is_asks_for_nothing(played: Session, file: Path) -> None:
    async with run_app(played=played, size=(120, 24)) as ui:
        await open_and_type(ui, "reload plan.toml")
        await ui.press("enter")
        await ui.until(lambda: ui.said, "it is said")
        assert ui.said == "plan.toml says what the plan is already"
        assert (ui.dialog, ui.asked) == ("", [])


# -- add ---------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_add_reads_the_tickets_of_a_file(played: Session, file: Path) -> None:
    write(file.with_name("more.toml"), '[tickets.N]\nneeds = ["B"]\nrun = "true"\n')
    async with run_app(played=played, size=(80, 24)) as ui:
        await open_and_type(ui, "add mo")
        await ui.press("tab")
        assert typed(ui) == "add more.toml"
        await ui.press("enter")
        assert await ui.done() == rq.Amend(added={"N": Ticket(needs=("B",), run="true")}, beside=True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("add nothing.toml", "there is no file nothing.toml (from "),
        ("add ", "say which file"),
        ("add .", "is a folder: say which file in it"),
        ("reload nothing.toml", "there is no file nothing.toml (from "),
        ("report night", "the end of the name of night does not tell the format: .txt (text)"),
        ("report no/night.json", "there is no folder no"),
        ("report /dev/null", "/dev/null is no regular file"),
        ("export", "reports are written with report FILE; a shell makes archives"),
        ("report ~nobody-here/x.json", "there can be no such file: Could not determine home directory"),
        ("add ~nobody-here", "there can be no such file: Could not determine home directory"),
        ("reload ~nobody-here", "there can be no such file: Could not determine home directory"),
        (f"add {'x' * 300}", "the file cannot be looked at: File name too long"),
        (f"reload {'x' * 300}", "the file cannot be looked at: File name too long"),
        (f"report {'x' * 300}", "the file cannot be looked at: File name too long"),
        (f"report {'x' * 300}/y.json", "the file cannot be looked at: File name too long"),
        ("attach s9", "there is no session s9"),
        ("edit A", "say what changes: timeout=30m"),
        ("edit X timeout=3m", "there is no ticket X"),
        ("edit A timeuot=3m", "there is no key timeuot (did you mean `timeout`?)"),
        ("reassign A agnet-1", "there is no agent agnet-1 (did you mean `agent-1`?)"),
        ("stop A", "A is neither: cancel is for tickets"),
        ("status now", "it takes no argument"),
    ],
)
async def test_what_is_wrong_is_said_with_what_to_do_instead(
    text: str, message: str, played: Session, file: Path
) -> None:
    async with run_app(played=played, size=(100, 24)) as ui:
        await open_and_type(ui, text)
        await ui.press("enter")
        assert message in said(ui)
        assert (ui.dialog, ui.asked) == ("CommandPalette", [])


def test_files_are_offered_folders_first_and_of_files_those_that_fit(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    for name in ("p.toml", "p.txt", "q.toml", ".hidden.toml"):
        (tmp_path / name).touch()
    place = f"{tmp_path}/"
    assert list(paths(place, (".toml",))) == [f"{place}plans/", f"{place}p.toml", f"{place}q.toml"]
    assert list(paths(f"{place}p", (".toml",))) == [f"{place}plans/", f"{place}p.toml"]
    assert list(paths(f"{place}.h", (".toml",))) == [f"{place}.hidden.toml"]
    for nothing in (f"{place}none/", "~nobody-here/", f"{'x' * 300}/"):
        assert list(paths(nothing, (".toml",))) == []


# -- report ------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_report_is_what_the_command_line_writes_and_replaces_nothing_unasked(
    played: Session, file: Path
) -> None:
    folder = file.parent
    async with run_app(played=played, size=(120, 24)) as ui:
        for ending in ENDINGS:
            name = f"night{ending}"
            await open_and_type(ui, f"report {name}")
            await ui.press("enter")
            await ui.until(lambda: ui.said, "it is written")
            assert ui.said == f"written: {folder / name}"
            ui.main.clear_message()
            parexec("report", "s1", "-o", f"cli{ending}", cwd=folder)
            assert content(folder / name) == content(folder / f"cli{ending}")
        assert json.loads(content(folder / "night.json"))["sessions"][0]["session"] == "s1"
        assert [line["ticket"] for line in csv.DictReader(content(folder / "night.csv").splitlines())] == ["A", "B"]
        write(folder / "night.txt", "mine")
        await open_and_type(ui, "report night.txt")
        await ui.press("enter")
        assert ui.dialog == "Confirm"
        assert "exists already" in ui.text()
        await ui.press("n")
        assert content(folder / "night.txt") == "mine"
        await open_and_type(ui, "report night.txt")
        await ui.press("enter", "y")
        await ui.until(lambda: ui.said, "it is written")
        assert "0 of 2 tickets succeeded" in content(folder / "night.txt")
        assert hidden(folder) == [], "nothing else is left"


@pytest.mark.asyncio
async def test_a_report_keeps_what_it_replaces_as_private_as_it_was_and_leaves_nothing_beside_a_folder(
    played: Session, file: Path
) -> None:
    folder = file.parent
    (folder / "real").mkdir()
    write(folder / "real" / "night.txt", "mine")
    (folder / "real" / "night.txt").chmod(0o600)
    (folder / "night.txt").symlink_to("real/night.txt")
    (folder / "a.json").mkdir()
    async with run_app(played=played, size=(120, 24)) as ui:
        await open_and_type(ui, "report night.txt")
        await ui.press("enter", "y")
        await ui.until(lambda: ui.said, "it is written")
        assert (folder / "night.txt").is_symlink()
        assert "0 of 2 tickets succeeded" in content(folder / "real" / "night.txt")
        assert (folder / "real" / "night.txt").stat().st_mode & 0o777 == 0o600
        await open_and_type(ui, "report a.json")
        await ui.press("enter")
        assert "is a folder: say which file in it" in said(ui)
    with pytest.raises(WriteError, match="is a folder"):
        write_report("s1", folder / "a.json", replaces=True)
    assert hidden(folder) == hidden(folder / "real") == []


@pytest.mark.asyncio
async def test_a_path_is_completed_behind_the_option_too(played: Session, file: Path) -> None:
    async with run_app(played=played, size=(80, 24)) as ui:
        await open_and_type(ui, "reload --rerun pl")
        await ui.press("tab")
        assert typed(ui) == f"reload --rerun {file.name}"


@pytest.mark.asyncio
async def test_a_command_that_is_typed_in_full_and_asks_needs_one_enter(played: Session, file: Path) -> None:
    async with run_app(played=played, size=(80, 24)) as ui:
        await open_and_type(ui, "reload")
        await ui.press("enter")
        await ui.until(lambda: ui.said, "the plan was read again")
        assert "says what the plan is already" in ui.said


# -- the others --------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("reassign B agent", rq.Reassign(tickets=("B",), agent="agent")),
        ("edit B timeout=3m title=two words", rq.Edit(ticket="B", changes={"timeout": "3m", "title": "two words"})),
        ("edit B needs=[]", rq.Edit(ticket="B", changes={"needs": []})),
    ],
)
async def test_a_command_asks_for_what_its_words_mean(
    text: str, asked: rq.AnyRequest, played: Session, file: Path
) -> None:
    async with run_app(played=played, size=(80, 24)) as ui:
        await open_and_type(ui, text)
        await ui.press("enter")
        assert await ui.done() == asked


@pytest.mark.asyncio
async def test_what_is_looked_at_by_name(played: Session, file: Path) -> None:
    async with run_app(played=played, size=(80, 24)) as ui:
        await open_and_type(ui, "why B")
        await ui.press("enter")
        assert "Why B?" in ui.text()
        await ui.press("escape")
        await open_and_type(ui, "log A")
        await ui.press("enter")
        assert (ui.view.selected, ui.main.arrangement.current) == ("A", "output")
        await open_and_type(ui, "status")
        await ui.press("enter")
        assert "tickets  1 waiting, 1 running" in ui.text()
        await ui.press("escape")
        await open_and_type(ui, "bottlenecks")
        await ui.press("enter")
        assert "nothing tells yet how long tickets take" in ui.text()
        await ui.press("escape")
        await open_and_type(ui, "stop now reason enough")
        await ui.press("enter")
        assert ui.dialog == "Confirm"
        await ui.press("y")
        assert await ui.done() == rq.Stop(now=True, reason="enough")


@pytest.mark.asyncio
async def test_the_sessions_are_read_once_however_much_is_typed(
    played: Session, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def known() -> dict[str, str]:
        reads.append(1)
        return {f"exec_{number}": "running  Nightly" for number in range(50)}

    monkeypatch.setattr(palette, "known_sessions", known)
    monkeypatch.setattr(screen_commands, "known_sessions", known)
    async with run_app(played=played, size=(80, 24)) as ui:
        await ui.press(":")
        await ui.until(lambda: reads, "they are read before anything is typed")
        await ui.press(*"attach", "space", *"exec_1")
        assert "running  Nightly" in ui.text()
        assert len(reads) == 1


@pytest.mark.asyncio
async def test_edit_offers_tickets_then_keys(played: Session, file: Path) -> None:
    async with run_app(played=played, size=(80, 24)) as ui:
        await open_and_type(ui, "edit B tim")
        await ui.press("tab")
        assert typed(ui) == "edit B timeout="
        assert any(row.startswith("timeout=") for row in rows(ui))
