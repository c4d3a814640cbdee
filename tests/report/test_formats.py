"""A report in each of its formats."""

import csv
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import structs

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.report import phrases
from parexec_tui.report.comparing import Told, compare
from parexec_tui.report.facts import EtaFact, Report, SessionFacts
from parexec_tui.report.formats import ENDINGS, Format, WriteError, format_of
from parexec_tui.report.junit import junit_bytes
from parexec_tui.report.markdown import escaped, markdown_lines
from parexec_tui.report.page import page as page_of
from parexec_tui.report.path import PathStep
from parexec_tui.report.phrases import Fold, folded, has_succeeded
from parexec_tui.report.plain import text_lines
from parexec_tui.report.tables import csv_lines
from parexec_tui.report.writing import write_file
from parexec_tui.text.cells import width_of
from tests.core.sessions import Session
from tests.core.state.test_properties import plans, run, steps
from tests.docs.pages import page, quoted, rows, section
from tests.report.test_facts import after, facts_of, started

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))


def ended() -> Session:
    """A succeeded, B failed, C is skipped, D could not start, E failed and may, F succeeded."""
    session = started("A:\nB: A\nC: B\nD: retries=0\nE: allow_failure=true\nF: A", parallel=6)
    session.could_not_start("D")
    session.fail("E")
    session.dispatch()
    while session["D"].is_live:
        session.could_not_start("D")
        session.dispatch()
    after(session, 5, "A")
    session.fail("B")
    session.succeed("F")
    session.close()
    return session


@pytest.fixture(scope="module")
def session() -> Session:
    return ended()


@pytest.fixture(scope="module")
def facts(session: Session) -> SessionFacts:
    return facts_of(session)


# -- text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [200, 80, 40])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_of_the_text_is_wider_than_the_terminal(facts: SessionFacts, width: int, ascii_only: bool) -> None:
    lines = list(text_lines(Report([facts]), width=width, ascii_only=ascii_only))
    assert max(map(width_of, lines)) <= width
    assert all(line.isascii() for line in lines) or not ascii_only
    assert lines[0].startswith("x test" if ascii_only else "✗ test")
    text = "\n".join(lines)
    assert "what ended badly" in text
    assert "why it took so long" in text


def test_the_longest_steps_of_a_path_are_told_and_the_others_folded(facts: SessionFacts) -> None:
    step = facts.path[0]
    path = [structs.replace(step, seconds=float(seconds)) for seconds in (9, 1, 2, 8, 1, 7)]
    told = [each.seconds for each in folded(path, 3)]
    assert told == [9, 3, 8, 1, 7]
    assert [isinstance(each, Fold) for each in folded(path, 3)] == [False, True, False, False, False]


def test_what_is_too_short_to_matter_has_no_absurd_figures() -> None:
    session = started("A: estimate=20s\nB: A estimate=1s\nC: locks=x\nD: locks=x", parallel=4)
    after(session, 0.001, "A", "C")
    after(session, 0.001, "B", "D")
    facts = facts_of(session)
    told = Report([facts])
    for text in (
        "\n".join(text_lines(told, width=100, ascii_only=False)),
        "\n".join(markdown_lines(told)),
        page_of(told),
    ):
        assert "<0.01 times as long as expected" in text.replace("\\", "").replace("&lt;", "<")
        assert "a factor of over 1000 off" in text
        for absurd in (
            "velocity",
            "+0.00s",
            " 0.00 times",
            "Longest tickets",
            "longest tickets",
            "Why it took so long",
        ):
            assert absurd not in text, absurd
    assert facts.path, "the facts have it"


def test_an_eta_that_was_far_off_is_told_as_a_factor(facts: SessionFacts) -> None:
    told = structs.replace(facts, eta=EtaFact(None, 14602.7, 1.0, 2))
    assert dict(phrases.figures(told))["ETA"].startswith("a factor of over 1000 off on average; ")


def test_short_steps_that_add_up_are_folded(facts: SessionFacts) -> None:
    path = [structs.replace(facts.path[0], seconds=0.002)] * 1000
    (fold,) = folded(path, 3)
    assert isinstance(fold, Fold)
    assert (fold.count, round(fold.seconds, 6)) == (1000, 2.0)


def test_a_wait_that_is_only_interrupted_by_a_moment_is_one_step(facts: SessionFacts) -> None:
    def wait(start: float, end: float, what: str, name: str = "") -> PathStep:
        return PathStep("T", what, start, end, end - start, name=name)

    path = [
        wait(0, 1, "pressure", "cpu"), wait(1, 1.01, "dispatch"), wait(1.01, 3, "pressure", "cpu"),
        wait(3, 4, "pressure", "memory"),
    ]  # fmt: skip
    told = list(folded(path, 15))
    assert [(phrases.step(each), round(each.seconds, 6)) for each in told] == [
        ("T waited for the host, short of cpu", 3),
        ("T waited for the host, short of memory", 1),
    ]


# -- Markdown ----------------------------------------------------------------------------------------------------


def test_markdown_has_whole_tables_and_shows_signs_of_its_own_as_they_are(facts: SessionFacts) -> None:
    nasty = structs.replace(facts, plan="a|b <script> *c*")
    lines = list(markdown_lines(Report([nasty])))
    assert lines[0].startswith("## ❌ a\\|b \\<script\\> \\*c\\*: ")
    tables = [line.replace("\\|", "").count("|") for line in lines if line.startswith("|")]
    assert min(tables) >= 3
    assert escaped("x\ny_z") == "x y\\_z"


# -- JSON --------------------------------------------------------------------------------------------------------


def test_claims_and_merges_are_told_apart_and_within_a_line(facts: SessionFacts) -> None:
    rates = structs.replace(facts.rates, conflict=0.125, merge_conflict=0.5)
    told = Report([structs.replace(facts, rates=rates)])
    said = "12% of tickets waited for claims, 50% of merges conflicted"
    assert f"  conflicts  {said}" in "\n".join(text_lines(told, width=80, ascii_only=False))
    assert said in page_of(told)


def test_every_key_of_the_json_of_a_diff_is_on_the_page(facts: SessionFacts, session: Session) -> None:
    told = json.loads(codec.encode(compare(Told(facts, session.state), Told(facts, session.state))))
    table = [
        row for row in rows(section(page("commands"), "What changed from one session to another")) if quoted(row[0])
    ]
    assert told.keys() == {word for row in table for word in quoted(row[0])}
    (described,) = (row[1] for row in table if "before" in quoted(row[0]))
    assert told["before"].keys() <= set(quoted(described))


def test_every_key_of_the_json_is_on_the_page(facts: SessionFacts) -> None:
    (told,) = json.loads(codec.encode(Report([facts])))["sessions"]
    table = rows(section(page("commands"), "Reports"))
    named = {word for row in table for word in quoted(row[0])}
    assert told.keys() <= named
    for key in ("summary", "rates", "velocity", "parallelism", "estimates", "resources"):
        (described,) = (row[1] for row in table if quoted(row[0]) == [key])
        assert told[key].keys() <= set(quoted(described)), key
    for key in ("agents", "lost"):
        (described,) = (row[1] for row in table if quoted(row[0]) == [key])
        assert told[key][0].keys() <= set(quoted(described)), key
    causes = {each["cause"] for each in told["lost"]}
    assert causes
    assert causes <= set(quoted(section(page("commands"), "Reports")))


# -- CSV ---------------------------------------------------------------------------------------------------------


def test_the_csv_has_a_line_for_each_attempt_and_for_each_ticket_without_one(
    facts: SessionFacts, session: Session
) -> None:
    found = list(csv.DictReader(csv_lines(Report([facts]))))
    assert [(line["ticket"], line["attempt"], line["status"]) for line in found] == [
        ("A", "1", "succeeded"),
        ("D", "1", "failed"),
        ("E", "1", "failed"),
        ("D", "2", "failed"),
        ("D", "3", "failed"),
        ("B", "1", "failed"),
        ("F", "1", "succeeded"),
        ("C", "0", "skipped"),
    ]
    assert {line["session"] for line in found} == {session.state.session}
    assert found[0]["seconds"] == "5.0"


@pytest.mark.parametrize(
    ("title", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'        =1"),
        ("\r=1", "' =1"),
        ("\x1b[31m=1", "'=1"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "'\N{FULLWIDTH EQUALS SIGN}1"),
        ("red \x1b[31mcell\x9b0m \u202etxt.exe", "red cell txt.exe"),
        ('say "so", a;=b', 'say "so", a;=b'),
        ("1=1", "1=1"),
    ],
)
def test_no_cell_of_the_csv_is_a_formula_or_acts_on_a_terminal(facts: SessionFacts, title: str, cell: str) -> None:
    attempt = structs.replace(facts.attempts[0], error_line=title, seconds=-1.0, code=-9)
    ticket = structs.replace(facts.tickets[0], title=title)
    nasty = structs.replace(facts, plan=title, attempts=[attempt], tickets=[ticket])
    text = "".join(csv_lines(Report([nasty])))
    (line,) = csv.DictReader(text.splitlines())
    assert (line["plan"], line["title"], line["error_line"]) == (cell, cell, cell)
    assert (line["seconds"], line["code"], line["signal"]) == ("-1.0", "-9", ""), "numbers stay numbers"
    assert ";=b" not in text.replace('"say ""so"", a;=b"', ""), "it is in quotes, whatever separates cells"


# -- JUnit -------------------------------------------------------------------------------------------------------


def test_the_junit_report_is_valid_and_tells_each_end_apart(facts: SessionFacts) -> None:
    tails = {"B": ("compiling", "error: \x1b[31mno such file\x1b[0m & <more>", "zero \0 byte")}
    written = junit_bytes(Report([facts, facts]), {facts.session: tails})
    SCHEMA.validate(written.decode())
    root = ET.fromstring(written)
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["group 1", "group 2", "group 3"] * 2
    assert [suite.get("id") for suite in suites] == [str(number) for number in range(6)]
    cases = {case.get("name"): case for suite in suites[:3] for case in suite.findall("testcase")}
    kinds = {name: [child.tag for child in case] for name, case in cases.items()}
    assert kinds == {"A": [], "B": ["failure"], "C": ["skipped"], "D": ["error"], "E": ["skipped"], "F": []}
    failure = cases["B"].find("failure")
    assert failure is not None
    assert failure.text == "exit 1\ncompiling\nerror: no such file & <more>\nzero  byte"
    assert cases["A"].get("time") == "5.000"
    counts = [(suite.get("tests"), suite.get("failures"), suite.get("errors")) for suite in suites[:3]]
    assert counts == [("3", "0", "1"), ("2", "1", "0"), ("1", "0", "0")]


def verdicts(session: Session) -> dict[str, tuple[str, str]]:
    """{ticket: (tag, message)} of those that did not succeed."""
    written = junit_bytes(Report([facts_of(session)]), {})
    SCHEMA.validate(written.decode())
    cases = ET.fromstring(written).iter("testcase")
    return {case.get("name", ""): (case[0].tag, case[0].get("message", "")) for case in cases if len(case)}


def test_what_is_not_over_is_an_error_for_ci_systems() -> None:
    session = started("A:\nB: A\nC:", parallel=2)
    after(session, 1, "C")
    assert verdicts(session) == {
        "A": ("error", "running: the session is not over"),
        "B": ("error", "waiting: the session is not over"),
    }
    session.apply(ev.SessionInterrupted(at=session.now, reason="killed by signal 9"))
    assert verdicts(session)["A"] == ("error", "running: the session is not over, but interrupted")
    stopped = started("A:\nB: A")
    stopped.ask(rq.Stop())
    stopped.killed("A")
    stopped.apply(ev.EngineLeft(at=stopped.now, reason="stopped"))
    assert verdicts(stopped) == {
        "A": ("error", "waiting: the session is not over, but stopped"),
        "B": ("error", "waiting: the session is not over, but stopped"),
    }


def test_what_was_cancelled_or_skipped_because_of_an_allowed_failure_is_not_green() -> None:
    session = started("A:\nB: A\nC: allow_failure=true\nD: C\nE: D", parallel=2)
    session.ask(rq.Cancel(tickets=("A",), by="ann"))
    session.killed("A")
    session.fail("C")
    session.close()
    found = {id_: tag for id_, (tag, _) in verdicts(session).items()}
    assert found == {"A": "error", "B": "skipped", "C": "skipped", "D": "error", "E": "error"}


@settings(max_examples=40, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(plans(), st.data())
def test_ci_systems_are_green_only_for_a_session_that_succeeded(drawn: Plan, data: st.DataObject) -> None:
    session = Session(drawn, checks=False)
    run(session, data.draw(steps(60)))
    tags = {tag for tag, _ in verdicts(session).values()}
    state = session.state
    is_good = not state.unfinished and not facts_of(session).summary.ended_badly
    assert is_good == (tags <= {"skipped"})
    assert is_good or not has_succeeded(facts_of(session))


def test_a_report_that_the_schema_does_not_allow_is_found(facts: SessionFacts) -> None:
    written = junit_bytes(Report([facts]), {}).replace(b' hostname="localhost"', b"", 1)
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate(written.decode())


# -- comparison --------------------------------------------------------------------------------------------------


def test_the_comparison_is_told_in_text_and_markdown(facts: SessionFacts, session: Session) -> None:
    other = started("A:\nB: A\nX:")
    after(other, 1, "X")
    after(other, 1, "A")
    after(other, 1, "B")
    compared = structs.replace(
        facts, comparison=compare(Told(facts, session.state), Told(facts_of(other), other.state))
    )
    text = "\n".join(text_lines(Report([compared]), width=100, ascii_only=False))
    assert "newly failed  B" in text
    assert "plan          new: " in text
    assert "gone: X" in text
    assert "### Against `s1`" in list(markdown_lines(Report([compared])))


# -- files -------------------------------------------------------------------------------------------------------


def test_the_end_of_a_name_tells_the_format() -> None:
    assert {format_of(Path(f"a{ending}")) for ending in ENDINGS} == set(Format)
    with pytest.raises(WriteError, match=r"does not tell the format: .*--format"):
        format_of(Path("a.b"))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        write_file(tmp_path / "a.txt", broken(), replaces=False)
    assert list(tmp_path.iterdir()) == []
    write_file(tmp_path / "a.txt", [b"one"], replaces=False)
    with pytest.raises(WriteError, match="exists already"):
        write_file(tmp_path / "a.txt", [b"two"], replaces=False)
    with pytest.raises(ValueError, match=r"^$"):
        write_file(tmp_path / "a.txt", broken(), replaces=True)
    assert (tmp_path / "a.txt").read_bytes() == b"one"
    write_file(tmp_path / "a.txt", [b"two"], replaces=True)
    assert (tmp_path / "a.txt").read_bytes() == b"two"
    with pytest.raises(WriteError, match="cannot be written"):
        write_file(tmp_path / "none" / "a.txt", [b"two"], replaces=False)
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_a_pipe_gets_what_is_written_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.md"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert write_file(pipe, [b"one", b"two"], replaces=False) == 6
    reader.join(10)
    assert (got, pipe.is_fifo()) == ([b"onetwo"], True)
    assert [each.name for each in tmp_path.iterdir()] == ["pipe.md"]


def test_a_terminal_gets_what_is_written_with_force_as_well() -> None:
    ours, theirs = os.openpty()
    try:
        write_file(Path(os.ttyname(theirs)), [b"one\n"], replaces=True)
        assert os.read(ours, 100) == b"one\r\n"
        assert Path(os.ttyname(theirs)).is_char_device()
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("is_linked", [False, True])
def test_what_is_open_already_is_written_on(tmp_path: Path, is_linked: bool) -> None:
    with (tmp_path / "out").open("wb") as out:
        file = Path(f"/dev/fd/{out.fileno()}")
        if is_linked:
            (tmp_path / "link").symlink_to(file)
            file = tmp_path / "link"
        out.write(b"before, ")
        out.flush()
        write_file(file, [b"then, "], replaces=True)
        out.write(b"after")
    assert (tmp_path / "out").read_bytes() == b"before, then, after"


def test_a_disk_is_left_as_it_is(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    try:
        os.mknod(disk, stat.S_IFBLK | 0o600, os.makedev(7, 250))  # a loop device that is not set up
        disk.open("rb").close()
    except OSError as error:
        pytest.skip(f"a block device is needed: {error}")
    with pytest.raises(WriteError, match="is a disk: it is left as it is"):
        write_file(disk, [b"one"], replaces=True)
    assert disk.is_block_device()


WRITES = """
import os, signal, sys
from pathlib import Path
from parexec_tui.report.writing import write_file

step, count = int(sys.argv[1]), 0

def dies(function):
    def counted(*arguments, **named):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted

for name in ("link", "rename", "replace", "unlink", "chmod", "mkdir"):
    setattr(os, name, dies(getattr(os, name)))
Path.touch = dies(Path.touch)
write_file(Path(sys.argv[2]), [b"one", b"two"], replaces=False, is_private=True)
"""


def test_who_is_killed_while_it_writes_leaves_no_half_file_of_that_name(tmp_path: Path) -> None:
    seen = set()
    for step in range(1, 10):
        file = tmp_path / str(step) / "a.txt"
        file.parent.mkdir()
        died = subprocess.run([sys.executable, "-c", WRITES, str(step), file], check=False)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL
        seen.add(file.exists())
        assert not file.exists() or file.read_bytes() == b"onetwo"
    else:
        pytest.fail("it never came to its end")
    assert file.read_bytes() == b"onetwo"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["a.txt"]
    assert seen == {False, True}


def test_where_there_are_no_hard_links_a_file_is_written_and_none_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    write_file(tmp_path / "a.txt", [b"one"], replaces=False)
    with pytest.raises(WriteError, match="exists already"):
        write_file(tmp_path / "a.txt", [b"two"], replaces=False)
    assert (tmp_path / "a.txt").read_bytes() == b"one"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_families_are_told_in_each_format(tmp_path: Path) -> None:
    text = "[tickets.t]\nmatrix = { n = [1, 2, 3] }\nrun = 'x'\n[tickets.alone]\nrun = 'x'\n"
    session = Session(read_plan(text, source="p", folder="/", format="toml"))
    session.dispatch()
    after(session, 2, "t-1")
    session.fail("t-2")
    report = Report([facts_of(session)])
    told = "1 succeeded, 1 failed, 1 running"
    for lines in (markdown_lines(report), text_lines(report, width=200, ascii_only=True), [page_of(report)]):
        found = "\n".join(lines)
        assert told in found
        assert "longest t-" in found
        assert "amilies" in found
    rows = list(csv.DictReader(csv_lines(report)))
    assert {row["ticket"]: row["family"] for row in rows} == {"t-1": "t", "t-2": "t", "t-3": "t", "alone": ""}
    [facts] = report.sessions
    assert {each.id: each.member for each in facts.tickets} == {
        "t-1": {"n": "1"}, "t-2": {"n": "2"}, "t-3": {"n": "3"}, "alone": {}
    }  # fmt: skip
    assert [suite.get("name") for suite in ET.fromstring(junit_bytes(report, {}))] == ["t", "group 1"]
