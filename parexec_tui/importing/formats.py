"""The formats that plans are made of. A format is a module of this room, imported when it is wanted."""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

from parexec_tui.importing.draft import Draft, ImportFault


class Wanted(NamedTuple):
    """What is to be imported."""

    source: Path
    """A file, or the folder in which it stands; the format says what it is called there."""
    folder: Path
    """The folder of the plan: the workdir is seen from there."""
    parts: tuple[str, ...] = ()
    """The targets, jobs or recipes that are wanted; empty: what the tool itself takes then."""


class Read(Protocol):
    """What the module of a format is asked for, as `read`."""

    def __call__(self, wanted: Wanted) -> Draft:
        """The plan. Raises ImportFault."""


class Format(NamedTuple):
    """One of the formats."""

    module: str
    about: str
    """What of it becomes what, in a line."""
    function: str = "read"
    """What of the module reads it."""


FORMATS = {
    "beads": Format("beads", "issues of beads, as prompts for coding agents"),
    "checklist": Format("checklist", "items of a Markdown checklist, the same"),
    "compose": Format("compose", "containers of a Compose file, by `docker run`"),
    "gh": Format("gh_issues", "issues that `gh issue list --json` printed, the same"),
    "github": Format("github", "jobs of a workflow of GitHub Actions, with their matrix"),
    "just": Format("just", "recipes of a justfile, by `just --dump`"),
    "kiro": Format("checklist", "tasks of a spec of Kiro, the same", "read_kiro"),
    "make": Format("make", "targets of a Makefile, as GNU make resolves them"),
    "ninja": Format("ninja", "edges of a build.ninja"),
    "snakemake": Format("snakemake", "jobs of a Snakefile, by Snakemake's own graph"),
    "spec-kit": Format("checklist", "tasks of a spec of spec-kit, the same", "read_spec_kit"),
    "task": Format("taskfile", "tasks of a Taskfile, version 3"),
    "task-master": Format("task_master", "tasks of Task Master, as prompts for coding agents"),
    "taskwarrior": Format("taskwarrior", "what `task export` printed, the same"),
}
"""{the word on the command line: the format}"""


def read(name: str, wanted: Wanted) -> Draft:
    """The plan that a source becomes. Raises ImportFault."""
    if not wanted.source.exists():
        raise ImportFault(str(wanted.source), "there is no such file or folder")
    if not (wanted.source.is_file() or wanted.source.is_dir()):
        raise ImportFault(str(wanted.source), "it is no regular file")
    format_ = FORMATS[name]
    read_it: Read = getattr(import_module(f"parexec_tui.importing.{format_.module}"), format_.function)
    return read_it(wanted)


def file_of(source: Path, names: tuple[str, ...]) -> Path:
    """The file of a source that may be its folder, by the names that its tool looks for. Raises ImportFault."""
    if not source.is_dir():
        return source
    for name in names:
        if (source / name).is_file():
            return source / name
    raise ImportFault(str(source), f"there is no {' and no '.join(names)} in it: name the file, or another folder")
