"""A registry is damaged in every way and repaired: what lies on whole pages is saved, nothing ends in a traceback.

    python -m tests.registry.repairs [--tries 200] [--seed 1]

Sessions are written through the real registry. For each try a copy is damaged (cut, zeroed in parts, overwritten with
garbage, its log damaged or gone), then `doctor`, `doctor --repair` and the commands that read are tried on it. Each
session whose pages are whole must be saved as it was, of each other one the events must be a prefix of what they
were, and a second repair must find nothing. Prints figures; exits 1 if anything did not hold.
"""

import argparse
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner
from msgspec import Struct
from msgspec.structs import replace

from parexec_tui.cli.entry import cli
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.paths import STATE_HOME, registry_file, session_folder, state_home
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.events import Entry
from parexec_tui.registry.registry import Registry
from tests.core.sessions import Session

_PAGE = 2048


class Written(Struct):
    """A session as it was written."""

    session: str
    plan: bytes
    events: list[Entry]


class Scene(Struct):
    """A registry file, its log, and what is in them."""

    main: bytes
    log: bytes
    written: list[Written]

    def put(self) -> Path:
        """Put both where the environment says that the registry is."""
        home = state_home(create=True)
        for file in home.glob("registry.db*"):
            file.unlink()
        return self.put_over()

    def put_over(self) -> Path:
        """The same, and leave other files there."""
        file = registry_file()
        file.write_bytes(self.main)
        file.with_name("registry.db-wal").write_bytes(self.log)
        file.chmod(0o600)
        return file

    def pages_of(self, written: Written) -> set[tuple[str, int]]:
        """The pages with anything of a session, also by chance: ("main", 3), ("log", 5)."""
        ticket = f"s{self.written.index(written) + 1}t".encode()
        # What names no ticket of this session may be of another plan; it stands beside what does.
        pieces = [written.session.encode(), *(piece for piece in _pieces(written.plan) if ticket in piece)]
        pieces += [event[3] for event in written.events]
        found = {("main", place) for piece in pieces for place in _places(self.main, piece, 0, _PAGE)}
        found |= {("log", place) for piece in pieces for place in _places(self.log, piece, 32, _PAGE + 24)}
        return found


def _pieces(data: bytes) -> list[bytes]:
    return [data] if len(data) < 400 else [data[at : at + 200] for at in range(0, len(data), 200)]


def _places(data: bytes, piece: bytes, begin: int, size: int) -> set[int]:
    found, at = set(), data.find(piece)
    while at >= 0:
        found |= {(at - begin) // size, (at + len(piece) - 1 - begin) // size}
        at = data.find(piece, at + 1)
    return found


# -- what is written -------------------------------------------------------------------------------------------


def write_session(registry: Registry, number: int, tickets: int) -> Written:
    """A session that ran to its end; every third one is in the middle of it."""
    session = f"exec_20260101_{number:06}"
    text = "".join(
        f"s{number}t{ticket}: {f's{number}t{ticket - 1}' if ticket % 5 else ''}\n" for ticket in range(tickets)
    )
    ran = Session(text, checks=False, is_open=False)
    began = ran.now = 10_000.0 * number  # so that no event is like one of another session
    ran.open()
    while ran.state.unfinished and not (number % 3 == 0 and ran.now > began + 5):
        ran.dispatch()
        for id_ in ran.live():
            ran.spawned(id_)
            ran.succeed(id_)
        ran.wait(1)
    if not ran.state.unfinished:
        ran.close()
    opened = ran.journal[0]
    assert isinstance(opened, ev.SessionOpened)
    journal = [replace(opened, session=session), *ran.journal[1:]]
    entries = [(seq, e.at, codec.kind_of(e), codec.encode(e)) for seq, e in enumerate(journal, 1)]
    plan = codec.encode_plan(ran.plan)
    folder = str(session_folder(session).path)
    registry.create_session(
        session,
        name=f"plan-{number}",
        plan=plan,
        source="/w/p.toml",
        folder=folder,
        workdir="/w",
        at=1000.0,
        boot="b",
        pid=1,
    )
    for at in range(0, len(entries), 7):
        registry.append(session, entries[at : at + 7], status=ran.state.status)
    return Written(session, plan, entries)


def write(folder: Path, sessions: int = 12, tickets: int = 30) -> Scene:
    """A registry: most of it in the file, the last sessions in the log."""
    file = folder / "registry.db"
    with Registry.open(file) as registry:
        written = [write_session(registry, number, tickets) for number in range(1, sessions - 2)]
        registry.checkpoint()
        db = sqlite3.connect(file)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        written += [write_session(registry, number, tickets) for number in range(sessions - 2, sessions + 1)]
        return Scene(file.read_bytes(), file.with_name("registry.db-wal").read_bytes(), written)


# -- damage ----------------------------------------------------------------------------------------------------

Damage = Callable[[Path, random.Random], set[tuple[str, int]]]
"""Damages a registry, and says which pages it may have hit."""


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _overwrite(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as raw:
        raw.seek(at)
        raw.write(data)


def _hit(at: int, length: int) -> set[tuple[str, int]]:
    return {("main", page) for page in range(at // _PAGE, (at + length - 1) // _PAGE + 1)}


def cut_to_half(file: Path, _: random.Random) -> set[tuple[str, int]]:
    size = file.stat().st_size
    os.truncate(file, size // 2)
    return _hit(size // 2, size - size // 2)


def header_zeroed(file: Path, _: random.Random) -> set[tuple[str, int]]:
    """Also in the log, from where SQLite would take it otherwise."""
    _overwrite(file, 0, bytes(100))
    log = _log(file).read_bytes()
    for at in range(32, len(log), _PAGE + 24):
        if log[at : at + 4] == b"\0\0\0\1":
            _overwrite(_log(file), at + 24, bytes(100))
    return set()


def page_zeroed(file: Path, chance: random.Random) -> set[tuple[str, int]]:
    at = chance.randrange(file.stat().st_size // _PAGE) * _PAGE
    _overwrite(file, at, bytes(_PAGE))
    return _hit(at, _PAGE)


def garbage(file: Path, chance: random.Random) -> set[tuple[str, int]]:
    hit = set()
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(file.stat().st_size - 4096)
        _overwrite(file, at, chance.randbytes(4096))
        hit |= _hit(at, 4096)
    return hit


def no_database(file: Path, chance: random.Random) -> set[tuple[str, int]]:
    size = file.stat().st_size
    file.write_bytes(chance.randbytes(size))
    return _hit(0, size)


def emptied(file: Path, _: random.Random) -> set[tuple[str, int]]:
    size = file.stat().st_size
    file.write_bytes(b"\0" * 100)
    return _hit(0, size)


def log_gone(file: Path, _: random.Random) -> set[tuple[str, int]]:
    frames = _log(file).stat().st_size // (_PAGE + 24)
    _log(file).unlink()
    return {("log", frame) for frame in range(frames)}


def log_damaged(file: Path, chance: random.Random) -> set[tuple[str, int]]:
    at = chance.randrange(_log(file).stat().st_size - 4096)
    _overwrite(_log(file), at, chance.randbytes(4096))
    frame = _PAGE + 24
    return {("log", page) for page in range((at - 32) // frame, (at + 4096 - 32) // frame + 1)}


def log_header_zeroed(file: Path, _: random.Random) -> set[tuple[str, int]]:
    _overwrite(_log(file), 0, bytes(32))
    return set()


def index_damaged(file: Path, chance: random.Random) -> set[tuple[str, int]]:
    file.with_name(f"{file.name}-shm").write_bytes(chance.randbytes(32768))
    return set()


DAMAGES: tuple[Damage, ...] = (
    cut_to_half, header_zeroed, page_zeroed, garbage, no_database, emptied, log_gone, log_damaged, log_header_zeroed,
    index_damaged,
)  # fmt: skip


# -- a try -----------------------------------------------------------------------------------------------------


class Outcome(Struct):
    """What a repair led to."""

    expected: int
    """Sessions whose pages are whole."""
    saved: int
    """Sessions that are as they were."""
    events: int
    faults: list[str]


def attempt(scene: Scene, damage: Damage, chance: random.Random) -> Outcome:
    """Damage the registry and repair it."""
    hit = damage(scene.put(), chance)
    whole = [written for written in scene.written if not scene.pages_of(written) & hit]
    faults: list[str] = []
    for words, codes in ((("doctor",), (0, 1)), (("doctor", "--repair", "--dry-run"), (0, 1)),
                         (("doctor", "--repair"), (0, 1)), (("ls",), (0,)), (("ls", "--json"), (0,))):  # fmt: skip
        faults += _faults(words, codes)
    second = CliRunner().invoke(cli, ["doctor", "--repair"])
    if second.exit_code or "nothing to repair" not in second.output:
        faults.append(f"the second repair ended with {second.exit_code}: {second.output}")
    saved = events = 0
    with Registry.open(registry_file()) as registry:
        for written in scene.written:
            found, fault = _compare(registry, written, must_be_whole=written in whole)
            events += found
            saved += found == len(written.events)
            faults += [fault] if fault else []
    return Outcome(len(whole), saved, events, faults)


def _faults(words: tuple[str, ...], codes: tuple[int, ...]) -> list[str]:
    result = CliRunner().invoke(cli, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return [f"{words}: {''.join(traceback.format_exception(result.exception))}"]
    if result.exit_code not in codes or "Traceback" in result.output:
        return [f"{words} ended with {result.exit_code}: {result.output}"]
    return []


def _compare(registry: Registry, written: Written, *, must_be_whole: bool) -> tuple[int, str]:
    """How many events of a session are there, and what is wrong."""
    try:
        rows = list(registry.events(written.session))
    except RegistryError as error:
        return 0, f"{written.session} is lost: {error}" if must_be_whole else ""
    if [(row.seq, row.at, row.kind, row.data) for row in rows] != written.events[: len(rows)]:
        return 0, f"{written.session} has events that nobody wrote"
    if must_be_whole and (len(rows) < len(written.events) or registry.plan(written.session) != written.plan):
        return len(rows), f"{written.session} has {len(rows)} of {len(written.events)} events"
    return len(rows), ""


# -- the script ------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    bad = 0
    figures: dict[str, Counter[str]] = {damage.__name__: Counter() for damage in DAMAGES}
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        os.environ[STATE_HOME] = str(Path(name, "state"))
        (Path(name) / "written").mkdir()
        scene = write(Path(name) / "written")
        for number in range(wanted.tries):
            damage = DAMAGES[number % len(DAMAGES)]
            outcome = attempt(scene, damage, random.Random(wanted.seed * 1_000_000 + number))
            figures[damage.__name__].update(
                tries=1, whole=outcome.expected, saved=outcome.saved, events=outcome.events
            )
            if outcome.faults:
                bad += 1
                print(f"-- try {number}, {damage.__name__}:", *outcome.faults, sep="\n", flush=True)
        shutil.rmtree(Path(name, "state"))
    of, events = len(scene.written), sum(len(written.events) for written in scene.written)
    for kind, counter in figures.items():
        tries = counter["tries"] or 1
        print(
            f"{kind:<18} {counter['tries']:>4} tries: {of} sessions, {counter['whole'] / tries:4.1f} on whole pages, "
            f"{counter['saved'] / tries:5.1f} saved whole; {counter['events'] / tries:7.1f} of {events} events"
        )
    print(f"{wanted.tries} tries, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
