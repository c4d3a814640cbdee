"""A compressed log has the bytes of the plain one at the same offsets."""

import gzip
import os
import random
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.outputs import compressed
from parexec_tui.outputs.compressed import best_ending, compress
from parexec_tui.outputs.gap import cut
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.outputs.log_file import FileChange, LogFile
from parexec_tui.outputs.sources import PlainLog, open_log
from parexec_tui.paths import COMPRESSED, GZIP, ZSTD

PYTHONS_OWN = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
"""What Python has for zstd since 3.14; before, the same as a package."""

BOTH = pytest.mark.parametrize("ending", COMPRESSED)


def lines(count: int, seed: int = 1) -> bytes:
    numbers = random.Random(seed)
    return b"".join(b"%d: %d\n" % (number, numbers.getrandbits(64)) for number in range(count))


def packed(folder: Path, data: bytes, ending: str) -> Path:
    """A log that is only there in its compressed form."""
    log = folder / "T.1.log"
    log.write_bytes(data)
    compress(log, folder / f"T.1.log{ending}", ending)
    log.unlink()
    return log


@BOTH
@given(data=st.data())
def test_every_range_reads_as_in_the_plain_log(
    ending: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = lines(data.draw(st.integers(0, 60)))
    folder = tmp_path_factory.mktemp("log")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compressed, "BLOCK", data.draw(st.integers(1, 200)))
        output = LocalOutput(packed(folder, content, ending))
        offset = data.draw(st.integers(0, len(content) + 5))
        limit = data.draw(st.integers(0, len(content) + 5))

        assert output.read(offset, limit) == content[offset : offset + limit]
        assert output.tail(limit) == (content[-limit:] if limit else b"")
        assert output.past_gap(offset) == offset


@BOTH
def test_other_programs_print_it(tmp_path: Path, ending: str) -> None:
    content = lines(40_000)
    file = packed(tmp_path, content, ending).with_name(f"T.1.log{ending}")

    if ending == GZIP:
        assert gzip.decompress(file.read_bytes()) == content
    else:
        assert PYTHONS_OWN.decompress(file.read_bytes()) == content
    assert file.stat().st_size < len(content) * 0.6


@BOTH
def test_what_was_left_out_stays_left_out(tmp_path: Path, ending: str) -> None:
    log = tmp_path / "T.1.log"
    content = lines(200_000)
    log.write_bytes(content)
    try:
        gap = cut(str(log), 1 << 20)
    except OSError:
        pytest.skip("the file system leaves no gap")
    assert gap is not None

    def looks() -> tuple[bytes, bytes, int, bytes]:
        output = LocalOutput(log)
        around = output.read(gap.start - 500, 1000)
        return around, output.tail(100), output.past_gap(gap.start), output.read(gap.end, 99)

    before = looks()
    compress(log, tmp_path / f"T.1.log{ending}", ending)
    log.unlink()

    assert looks() == before
    followed = LogFile(log)
    assert followed.look() is FileChange.opened
    assert followed.reader is not None
    assert (followed.reader.gap, followed.reader.size) == (gap, len(content))
    followed.close()


@BOTH
def test_a_viewer_goes_on_where_it_was_when_the_log_is_compressed_under_it(tmp_path: Path, ending: str) -> None:
    content = lines(30_000)
    log = tmp_path / "T.1.log"
    log.write_bytes(content)
    viewer = LogFile(log)
    assert viewer.look() is FileChange.opened
    reader = viewer.reader
    assert reader is not None
    somewhere = reader.start_of(300_000)
    before = reader.lines_from(somewhere, 50)
    thread = reader.duplicate()

    compress(log, tmp_path / f"T.1.log{ending}", ending)
    log.unlink()

    assert viewer.look() is FileChange.none
    assert viewer.reader is reader
    assert viewer.trouble == ""
    with closing(open_log(log)) as opened:
        assert isinstance(opened, compressed.CompressedLog)
    assert reader.lines_from(somewhere, 50) == before
    assert reader.lines_before(somewhere, 5) == thread.lines_before(somewhere, 5)
    assert viewer.look() is FileChange.none
    own = reader.duplicate()
    assert own.read(0, 100) == content[:100]
    own.close()
    thread.close()

    log.write_bytes(b"another one\n")
    assert viewer.look() is FileChange.replaced
    viewer.close()


def test_while_both_are_there_the_plain_one_counts(tmp_path: Path) -> None:
    log = packed(tmp_path, b"compressed\n", GZIP)
    assert LocalOutput(log).name == f"{log}.gz"
    log.write_bytes(b"plain\n")

    assert LocalOutput(log).read(0, 99) == b"plain\n"
    assert LocalOutput(log).name == str(log)
    with closing(open_log(log)) as opened:
        assert isinstance(opened, PlainLog)


@BOTH
def test_a_damaged_one_is_an_error_and_never_other_bytes(tmp_path: Path, ending: str) -> None:
    content = lines(400)
    log = packed(tmp_path, content, ending)
    file = log.with_name(f"{log.name}{ending}")
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        os.utime(file, ns=(place, place))
        try:
            assert LocalOutput(log).read(0, len(content)) == content  # a bit that means nothing, as the time of gzip
        except OSError as error:
            if "damaged" not in str(error) and "not a log" not in str(error):
                raise
    file.write_bytes(whole[:-5])
    with pytest.raises(OSError, match="damaged"):
        LocalOutput(log).read(0, 10)


@contextmanager
def libraries(**modules: object) -> Iterator[None]:
    """With these libraries for zstd, and no other one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("compression.zstd", "zstandard"):
            patch.setitem(sys.modules, name, modules.get(name.rpartition(".")[2]))
        _forget_library()
        try:
            yield
        finally:
            _forget_library()


def _forget_library() -> None:
    compressed._zstd.cache_clear()
    compressed._unpacked.cache_clear()


def test_python_and_the_package_read_what_the_other_one_wrote(tmp_path: Path) -> None:
    package = {"zstandard": pytest.importorskip("zstandard")}
    own = {"zstd": PYTHONS_OWN}
    content = lines(40_000)
    for number, (writes, reads) in enumerate(((own, own), (own, package), (package, own))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with libraries(**writes):
            log = packed(folder, content, ZSTD)
        file = log.with_name(f"{log.name}{ZSTD}")
        with libraries(**reads):
            assert LocalOutput(log).read(0, len(content)) == content
            whole = file.read_bytes()
            file.write_bytes(whole[:-3] + b"xyz")  # a checksum
            with pytest.raises(OSError, match="damaged"):
                LocalOutput(log).read(0, len(content))


def test_without_a_library_for_zstd_gzip_is_used_and_a_zstd_log_says_what_is_missing(tmp_path: Path) -> None:
    log = packed(tmp_path, lines(100), ZSTD)
    assert best_ending() == ZSTD
    with libraries():
        assert best_ending() == GZIP
        with pytest.raises(OSError, match=r"pip install 'parexec-tui\[zstd\]'") as raised:
            LocalOutput(log).read(0, 10)
        assert raised.value.filename == f"{log}.zst"
