"""The logs of finished sessions are compressed, and each can be read at any moment."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from parexec_tui.cli.entry import cli
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.keeping.logs import compress_logs, has_logs_to_compress
from parexec_tui.outputs.compressed import _zstd, compress
from parexec_tui.outputs.output import output_of, steps_of
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.settings import settings_file
from tests.engine.engines import resume, run, until
from tests.engine.small_disk import MIB, small_disk
from tests.keeping.kept import remember

LONG = b"".join(b"line %d of a long output\n" % number for number in range(1000))
KEY = ProcessKey("a", 1)


def session_with(tmp_path: Path, status: str = "finished") -> str:
    session = remember(tmp_path, status=status)
    attempts = session_folder(session).attempts
    (attempts / "a.1.log").write_bytes(LONG)
    (attempts / "a.1.gate-1.log").write_bytes(b"x" * 4095)
    return session


def compressed(session: str) -> int:
    with Registry.open(registry_file()) as registry:
        return compress_logs(registry, session)


def files(session: str) -> list[str]:
    return sorted(file.name for file in session_folder(session).attempts.iterdir())


def test_what_is_worth_it_is_compressed(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    log = session_folder(session).log(KEY)
    os.utime(log, (7, 7))
    assert has_logs_to_compress(session)

    assert compressed(session) == 1

    assert files(session) == ["a.1.exit", "a.1.gate-1.log", "a.1.log.zst"]
    assert output_of(session, KEY).read(0, len(LONG)) == LONG
    assert output_of(session, KEY).grew() == 7.0
    assert steps_of(session, KEY) == ["run", "gate-1"]
    assert not has_logs_to_compress(session)
    assert compressed(session) == 0


@pytest.mark.parametrize("status", ["running", "stopped", "damaged"])
def test_only_of_sessions_that_are_finished(tmp_path: Path, status: str) -> None:
    assert compressed(session_with(tmp_path, status)) == 0


def test_not_while_somebody_runs_it(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    with SessionLock(session_folder(session).lock):
        assert compressed(session) == 0
    assert "a.1.log" in files(session)


def test_a_log_that_changes_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_with(tmp_path)
    log = session_folder(session).log(KEY)

    def changing(path: Path, new: Path, ending: str) -> None:
        compress(path, new, ending)
        log.unlink()
        log.write_bytes(b"another process began\n")

    monkeypatch.setattr("parexec_tui.keeping.logs.compress", changing)

    assert compressed(session) == 0
    assert files(session) == ["a.1.exit", "a.1.gate-1.log", "a.1.log"]
    assert log.read_bytes() == b"another process began\n"


def test_on_a_full_disk_what_finds_room_gives_room_to_the_next_and_nothing_is_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        monkeypatch.setenv("XDG_STATE_HOME", str(disk.path))
        session = session_with(tmp_path)
        attempts = session_folder(session).attempts
        text, noise = LONG * 8, os.urandom(MIB)
        for name, content in (("a.2", noise * 3), ("a.3", noise[:200_000] + text * 4), ("a.4", text)):
            (attempts / f"{name}.log").write_bytes(content)
        for name in ("a.2.log.gz", "a.3.log.zst.new"):
            (attempts / name).write_bytes(noise[:65536])  # of one that was killed
        disk.fill()
        disk.leave(MIB // 8)

        with pytest.raises(OSError, match="No space left"):
            compressed(session)

        logs = [name for name in files(session) if ".log" in name and "gate" not in name]
        assert logs == ["a.1.log.zst", "a.2.log", "a.3.log.zst", "a.4.log.zst"]
        assert output_of(session, ProcessKey("a", 3)).read(200_000, len(LONG)) == LONG


def test_what_is_set_aside_takes_its_compressed_log_along(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    compressed(session)
    assert set(session_folder(session).recorded()) == {KEY, ProcessKey("a", 1, "gate-1")}

    session_folder(session).set_aside(KEY)

    assert set(session_folder(session).recorded()) == {ProcessKey("a", 1, "gate-1")}
    with pytest.raises(FileNotFoundError):
        output_of(session, KEY).read(0, 1)


def test_without_a_library_for_zstd_the_log_is_named_and_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, state = run(tmp_path, '[tickets.a]\nrun = "seq 2000"\n')
    compressed(state.session)
    for name in ("compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    _zstd.cache_clear()
    try:
        result = CliRunner().invoke(cli, ["log", "a", "-s", state.session])
    finally:
        _zstd.cache_clear()

    log = f"{session_folder(state.session).log(KEY)}.zst"
    needed = "what is compressed with zstd needs a library: pip install 'parexec-tui[zstd]'"
    assert (result.exit_code, result.output) == (2, f"parexec: {log}: {needed}\n")


KILLED = """
import os, signal, sys
from pathlib import Path
from parexec_tui.keeping import logs
from parexec_tui.outputs import compressed
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry

step, session = int(sys.argv[1]), sys.argv[2]
compressed.BLOCK = 4096
count = 0

def dies(function):
    def counted(*arguments, **named):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        done = function(*arguments, **named)
        return done
    return counted

os.pread = dies(os.pread)
os.fsync = dies(os.fsync)
Path.replace = dies(Path.replace)
Path.unlink = dies(Path.unlink)
with Registry.open(registry_file()) as registry:
    logs.compress_logs(registry, session)
"""


def test_killed_at_any_step_the_log_can_be_read_and_the_next_one_goes_on(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    attempts, template = session_folder(session).attempts, tmp_path / "template"
    shutil.copytree(attempts, template)
    seen = set()
    for step in range(1, 40):
        shutil.rmtree(attempts)
        shutil.copytree(template, attempts)
        died = subprocess.run([sys.executable, "-c", KILLED, str(step), session], check=False)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL
        seen.add(tuple(name for name in files(session) if name.startswith("a.1.log")))
        assert output_of(session, KEY).read(0, len(LONG)) == LONG
        assert compressed(session) == 1
        assert files(session) == ["a.1.exit", "a.1.gate-1.log", "a.1.log.zst"]
        assert output_of(session, KEY).read(0, len(LONG)) == LONG
    else:
        pytest.fail("it never came to its end")
    assert seen == {("a.1.log", "a.1.log.zst.new"), ("a.1.log", "a.1.log.zst")}


PLAN = """
[tickets.a]
run = "seq 2000; test -e good || { echo 'ERROR: it is not good'; exit 1; }"
"""


def test_after_a_session_its_logs_are_compressed_and_it_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text("[prune]\ncompress = true\n")
    code, state = run(tmp_path, PLAN)
    assert code == 1
    until(lambda: "a.1.log" not in files(state.session), "its log is compressed")

    def said(*words: str) -> str:
        result = CliRunner().invoke(cli, [*words])
        assert result.exit_code == 0, result.output
        return result.output

    numbers = "".join(f"{number}\n" for number in range(1, 2001))
    assert said("log", "a", "-s", state.session) == f"{numbers}ERROR: it is not good\n"
    assert said("log", "a", "-f", "--step", "run", "-s", state.session) == f"{numbers}ERROR: it is not good\n"
    assert said("log", "--all", "-g", "^1999$", "-s", state.session) == "a: 1999\n"
    (tmp_path / "good").touch()
    result, _ = resume(state.session, retry_failed=True)
    assert result.outcome == "finished"
    assert "a.1.log.zst" in files(state.session)
    assert said("log", "a", "-s", state.session) == numbers
    assert said("log", "a", "-a", "1", "-s", state.session) == f"{numbers}ERROR: it is not good\n"
