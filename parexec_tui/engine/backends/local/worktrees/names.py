"""The names of files in a conflict, as people know them."""

import posixpath
import re
from collections.abc import Iterable

_MADE_UP = re.compile(r"~[0-9a-f]{40,64}(_\d+)?(?=/|$)")
"""What git adds to the name of a side where the other has something of another kind: `f~COMMIT`."""


def as_text(name: str) -> str:
    """A name as it can be told: one that is no UTF-8 has its bytes as `\\xff`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def conflict_files(told: Iterable[str], prefix: str) -> list[str]:
    """Each file once, seen from the top of the repository. `told`: as `git merge-tree` tells them, in a folder whose
    `prefix` that is."""
    names = (posixpath.normpath(posixpath.join(prefix, _MADE_UP.sub("", name))) for name in told if name)
    return list(dict.fromkeys(names))
