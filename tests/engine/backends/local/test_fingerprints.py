"""A ticket is up to date exactly if the files that it reads and writes have the content of its last success."""

import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.patterns import Pattern
from parexec_tui.engine.backends.backend import FreshnessWanted, Success
from parexec_tui.engine.backends.local import fingerprints
from parexec_tui.engine.backends.local.files import Sign, files_of
from parexec_tui.engine.backends.local.fingerprints import Walks, digest_of, look, note_reads, take

READS, WRITES = ("src/**", "one"), ("out/*.o", "app?")
NAMES = ("src/a", "src/deep/b", "src/\udcff", "one", "out/x.o", "out/y.o", "out/other", "app", "elsewhere")
WHERE = {name: "reads" if name.startswith(("src/", "one")) else "outputs" for name in NAMES} | {
    "out/other": "",
    "elsewhere": "",
}
LONG_AGO = 1_000_000_000


class Ticket:
    """A ticket whose files are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "work"
        self.root.mkdir()
        self.note = folder / "note"
        self.known: bytes | None = None

    def write(self, name: str, content: str, *, at: int | None = LONG_AGO) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        if at is not None:
            os.utime(file, (at, at))

    def begins(self) -> None:
        note_reads(self.note, str(self.root), READS)

    def succeeds(self, command: bytes = b"c") -> None:
        wanted = Success(command, "agent", str(self.root), READS, ("out/*.o", "app"), time.time_ns())
        self.known = take(self.note, wanted, Walks())

    def stale(self, command: bytes = b"c", walks: Walks | None = None) -> str:
        wanted = FreshnessWanted(self.known, {"agent": command}, str(self.root), READS, (), WRITES)
        found = look(wanted, walks or Walks())
        if found.renewed is not None:
            self.known = found.renewed
        return found.stale


@pytest.fixture
def ticket(tmp_path: Path) -> Ticket:
    made = Ticket(tmp_path)
    for name in NAMES:
        made.write(name, name.encode("utf-8", "surrogateescape").hex())
    made.begins()
    made.succeeds()
    return made


@settings(deadline=None, max_examples=60)
@given(
    before=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("", "1", "22"))),
    after=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("", "1", "22", "33"))),
)
def test_it_is_stale_exactly_if_a_content_that_counts_differs(before: dict[str, str], after: dict[str, str]) -> None:
    with TemporaryDirectory() as folder:
        ticket = Ticket(Path(folder))
        for name, content in before.items():
            ticket.write(name, content)
        ticket.begins()
        ticket.succeeds()
        assert ticket.stale() == ""
        for name in before.keys() - after.keys():
            (ticket.root / name).unlink()
        for name, content in after.items():  # also written anew where the content is the same
            ticket.write(name, content)
        differ = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        counts = {name for name in differ if WHERE[name]}
        said = ticket.stale()
        assert bool(said) is bool(counts)
        if said:
            word, _, rest = said.partition(" ")
            name, _, what = rest.partition(" ")
            assert WHERE[name] == word
            assert name in counts
            expected = {True: "is missing", False: "changed" if name in before else "is new"}[name not in after]
            assert what == expected


@pytest.mark.parametrize(
    ("name", "said"), [("src/a", "reads src/a changed"), ("out/x.o", "outputs out/x.o changed"), ("out/other", "")]
)
def test_a_change_of_the_same_length_is_seen(ticket: Ticket, name: str, said: str) -> None:
    assert ticket.stale() == ""
    size = (ticket.root / name).stat().st_size
    ticket.write(name, "#" * size)
    assert ticket.stale() == said


def test_the_command_counts_and_what_never_ran(ticket: Ticket) -> None:
    assert ticket.stale(b"other") == "the command or its settings changed"
    ticket.known = b""
    assert ticket.stale() == "the last attempt did not succeed"
    ticket.known = None
    assert ticket.stale() == "never ran"
    ticket.known = b"\x01nonsense"
    assert ticket.stale() == "never ran"


def test_what_is_read_and_changes_while_it_runs_counts_as_changed(ticket: Ticket) -> None:
    ticket.begins()
    ticket.write("one", "meanwhile")
    ticket.succeeds()
    assert ticket.stale() == "reads one changed"
    ticket.begins()
    ticket.succeeds()
    assert ticket.stale() == ""
    ticket.begins()
    (ticket.root / "one").unlink()
    ticket.succeeds()
    assert ticket.stale() == "reads one is missing"


def test_a_new_hard_link_to_what_is_read_changes_nothing(ticket: Ticket) -> None:
    ticket.begins()
    os.link(ticket.root / "one", ticket.root / "out/one.copy")
    ticket.succeeds()
    assert ticket.stale() == ""


def test_what_another_writes_after_the_end_is_not_what_the_ticket_wrote(ticket: Ticket) -> None:
    ticket.begins()
    ended = time.time()
    ticket.write("app", "by somebody else", at=int(ended) + 100)
    ticket.succeeds()
    assert ticket.stale() == "outputs app changed"


def test_a_file_whose_sign_is_the_same_is_not_read_again(ticket: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def count(path: bytes) -> bytes:
        read.append(path)
        return digest_of(path)

    monkeypatch.setattr(fingerprints, "digest_of", count)
    time.sleep(2 * fingerprints.SETTLED / 1e9)
    assert ticket.stale() == ""  # they were new when it succeeded: now they are not, and that is noted
    read.clear()
    assert ticket.stale() == ""
    assert read == []
    os.utime(ticket.root / "one", (LONG_AGO + 5, LONG_AGO + 5))
    assert ticket.stale() == ""
    assert read == [os.fsencode(ticket.root / "one")]


def test_a_pattern_is_walked_once_for_all_who_have_it(ticket: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[str] = []

    def walk(pattern: Pattern) -> Iterator[tuple[str, Sign]]:
        walked.append(pattern.text)
        return files_of(pattern)

    monkeypatch.setattr(fingerprints, "files_of", walk)
    walks = Walks()
    for _ in range(3):
        assert ticket.stale(walks=walks) == ""
    assert sorted(walked) == ["app", "one", "out/*.o", "src"]


def test_a_header_that_changes_while_a_look_at_it_counts_has_changed(ticket: Ticket) -> None:
    root = str(ticket.root)
    ticket.write("depfile", "app: elsewhere\n")
    time.sleep(fingerprints.SETTLED / 1e9 * 1.2)  # from now on the signs count
    ticket.begins()
    walks = Walks()

    def succeeds() -> str:
        """How stale it is, after a success just after the one before."""
        nonlocal walks
        walks = Walks(walks, is_recent=True)
        wanted = Success(b"c", "agent", root, READS, ("app",), time.time_ns(), root, "depfile")
        known = take(ticket.note, wanted, walks)
        return look(FreshnessWanted(known, {"agent": b"c"}, root, READS, (), ("app",)), Walks()).stale

    assert succeeds() == ""
    ticket.write("elsewhere", "other")
    assert succeeds() == "reads elsewhere changed, which its depfile names"


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to("gone")
    assert digest_of(os.fsencode(tmp_path / "pipe")) == b"no file"
    lost = digest_of(os.fsencode(tmp_path / "nowhere"))
    (tmp_path / "nowhere").unlink()
    (tmp_path / "nowhere").symlink_to("elsewhere")
    assert b"" != lost != digest_of(os.fsencode(tmp_path / "nowhere"))
    assert digest_of(os.fsencode(tmp_path / "none")) == fingerprints.UNKNOWN


def test_a_fingerprint_of_many_files_is_small_and_one_of_an_earlier_version_is_read(ticket: Ticket) -> None:
    for number in range(500):
        ticket.write(f"src/include/module/header-{number:04}.h", str(number))
    time.sleep(fingerprints.SETTLED / 1e9 * 1.2)  # from now on the signs count
    ticket.begins()
    ticket.succeeds()
    assert ticket.known is not None
    unpacked = zlib.decompress(ticket.known)
    assert len(ticket.known) < len(unpacked) * 0.6
    ticket.known = unpacked
    assert ticket.stale() == ""
    ticket.known = b"\x78damaged"
    assert ticket.stale() == "never ran"


def test_of_too_many_files_nothing_is_noted(ticket: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket.note.unlink()
    monkeypatch.setattr(fingerprints, "MAX_FILES", 2)
    ticket.begins()
    assert not ticket.note.exists()
