"""A registry on a disk that takes nothing: what is there can be read, and errors say why no more is."""

from pathlib import Path

import pytest

from parexec_tui.registry.errors import RegistryError, RegistryMissing
from parexec_tui.registry.registry import Registry
from tests.engine.small_disk import SmallDisk, small_disk
from tests.registry.registries import entries, seqs, start


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_what_is_there_can_be_read(tmp_path: Path, trouble: str) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = tmp_path / "disk" / "registry.db"
        with Registry.open(file) as registry:
            session = start(registry)
            registry.append(session, entries(1, 3))
        make(disk, trouble)
        with Registry.open(file, read_only=True) as registry:
            assert seqs(registry, session) == [1, 2, 3]
            assert [row.session for row in registry.sessions()] == [session]
        said = "disk is full|disk failed" if trouble == "full" else "file system is read-only"
        with pytest.raises(RegistryError, match=said), Registry.open(file) as registry:
            registry.append(session, entries(4, 5))


def test_one_for_whose_tables_there_was_no_room_is_not_there_yet(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = tmp_path / "disk" / "registry.db"
        disk.fill()
        with pytest.raises(RegistryError, match="the disk is full"), Registry.open(file):
            pass
        assert file.exists()
        with pytest.raises(RegistryMissing), Registry.open(file, read_only=True):
            pass


def make(disk: SmallDisk, trouble: str) -> None:
    if trouble == "full":
        disk.fill()
    else:
        disk.remount("ro")
