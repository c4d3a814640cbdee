"""Archives of sessions, as an export writes them and as somebody might make them."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from parexec_tui.keeping.archive import MANIFEST, packed
from parexec_tui.keeping.exporting import Export
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry


def exported(session: str, file: Path, ending: str = ".tar.gz") -> Path:
    """Export a session into a file."""
    with (
        Registry.open(registry_file(), read_only=True) as registry,
        Export.of(registry, registry.session(session)) as found,
    ):
        file.write_bytes(b"".join(packed(found.parts(), ending)))
    return file


class Odd:
    """The members of an archive, to be changed and written again, with a manifest that fits or does not."""

    def __init__(self, file: Path) -> None:
        with tarfile.open(file) as tar:
            members = [(info, tar.extractfile(info)) for info in tar]
            self.members = [(info, content.read() if content else b"") for info, content in members]
        self.root = self.members[0][0].name.partition("/")[0]
        self.manifest: dict[str, Any] = msgspec.json.decode(self.members.pop(0)[1])

    def names(self) -> list[str]:
        return [info.name.removeprefix(f"{self.root}/") for info, _ in self.members]

    def content(self, name: str) -> bytes:
        return self.members[self.names().index(name)][1]

    def replace(self, name: str, content: bytes) -> None:
        """Give a member another content; the manifest knows it."""
        at = self.names().index(name)
        info, _ = self.members[at]
        info.size = len(content)
        self.members[at] = (info, content)
        self.manifest["files"][at] |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def add(self, name: str, content: bytes = b"", *, is_listed: bool = True, **fields: Any) -> None:
        """Add a member of this whole name."""
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for field, value in fields.items():
            setattr(info, field, value)
        self.members.append((info, content))
        if is_listed:
            own = name.removeprefix(f"{self.root}/")
            self.manifest["files"].append(
                {"name": own, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            )

    def write(self, file: Path, change: Callable[[bytes], bytes] = lambda tar: tar) -> Path:
        """`change`: of the tar file, before it is compressed."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            content = msgspec.json.encode(self.manifest)
            first = tarfile.TarInfo(f"{self.root}/{MANIFEST}")
            first.size = len(content)
            tar.addfile(first, io.BytesIO(content))
            for info, each in self.members:
                tar.addfile(info, io.BytesIO(each) if info.isreg() else None)
        file.write_bytes(gzip.compress(change(out.getvalue()), 1))
        return file
