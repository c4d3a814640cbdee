"""What a plan names that does not stand in it: other files, and what files and commands tell. Others read it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from parexec_tui.core.plan.expanding.axes import Look, look_nowhere
from parexec_tui.core.plan.expanding.including import ReadFile, read_no_file
from parexec_tui.core.plan.hosts import HostSpec


class Outside(NamedTuple):
    """How that is read. `look` and `read` raise SourceError for what cannot be."""

    look: Look
    """The values of a family."""
    read: ReadFile
    """A file that a plan includes."""
    is_repository: Callable[[str], bool] = lambda _: False
    """Whether a folder, absolute, is in the checkout of a git repository."""
    hosts: Callable[[], Mapping[str, HostSpec]] = dict
    """The hosts that the person knows who runs the plan, asked only for a plan whose agents run on some."""


NOTHING_OUTSIDE = Outside(look_nowhere, read_no_file)
"""Where nothing of it can be read."""
