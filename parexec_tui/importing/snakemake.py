"""Snakemake: the jobs of its graph become tickets, with what they read and write.

Snakemake itself makes the graph. Commands of the shell run without it; scripts and other jobs of Python, and what is
known only after a checkpoint, are run by it, job by job.
"""

import os
import shlex
import textwrap
from pathlib import Path, PurePath
from typing import Any, Final

import psutil

from parexec_tui.importing.draft import Draft, literal, pattern
from parexec_tui.importing.formats import Wanted, file_of
from parexec_tui.importing.snakemake_data import Job, JobFile, Workflow, ask_snakemake

_NAMES: Final = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
_STRICT: Final = "set -euo pipefail;"
_STREAMS: Final = frozenset({"pipe", "service"})
_SILENT: Final = frozenset(
    {"tmpdir", "mem", "mem_mib", "disk", "disk_mib", "disk_mb", "_cores", "_nodes", "cpus_per_task", "tasks", "nodes"}
)
"""Resources that say the same as others, or what a cluster has to know."""


def read(wanted: Wanted) -> Draft:
    """The plan of a workflow. `parts`: rules or files; without one, the first rule. Raises ImportFault."""
    file = file_of(wanted.source, _NAMES)
    if wanted.source.is_dir():
        folder = wanted.source
    else:
        folder = file.parent.parent if file.resolve().parent.name == "workflow" else file.parent
    return draft_of(ask_snakemake(file, folder, wanted.parts), file, folder, wanted.folder)


def draft_of(workflow: Workflow, file: Path, folder: Path, plan_folder: Path) -> Draft:
    """The plan of what Snakemake told; `folder`: where it was asked."""
    draft = Draft(f"Imported from {file.name} by `parexec import snakemake`.")
    draft.set_workdir(Path(workflow.folder), plan_folder)
    _Importer(workflow, draft, file, folder).take()
    return draft


class _Importer:
    def __init__(self, workflow: Workflow, draft: Draft, file: Path, folder: Path) -> None:
        self._workflow, self._draft = workflow, draft
        self._jobs = {job.id: job for job in workflow.jobs}
        self._ids: dict[int, str] = {}
        """{job: the id of its ticket}"""
        snakefile = shlex.quote(os.path.relpath(file.resolve(), workflow.folder))
        apart = Path(workflow.folder).resolve() != folder.resolve()
        self._snakemake = f"snakemake --snakefile {snakefile} --nolock" + " --directory ." * apart
        self._told: set[str] = set()
        self._folders = {
            os.path.normpath(each.path) for job in workflow.jobs for each in job.output if "directory" in each.flags
        }
        self._memory = psutil.virtual_memory().total

    def take(self) -> None:
        """Make a ticket of each job that has something to run."""
        workflow, draft = self._workflow, self._draft
        is_strict = PurePath(workflow.shell).name == "bash" and workflow.prefix.strip() == _STRICT
        shell = "bash" if PurePath(workflow.shell).name == "bash" else workflow.shell
        draft.tables["plan"]["shell"] = [shell, *(["-euo", "pipefail"] if is_strict else []), "-c"]
        self._prefix = "" if is_strict else workflow.prefix
        draft.tables["defaults"]["up_to_date"] = True
        for name in workflow.handlers:
            draft.leave_out((), f"{name}: a hook of [hooks] may do what it does")
        taken = [job for job in self._in_order() if _has_work(job) and not _is_stream(job)]
        for job in taken:
            self._ids[job.id] = id_ = draft.fresh_id("-".join((job.rule, *job.wildcards.values())))
            draft.tickets[id_] = {}
        for job in taken:
            self._fill(draft.tickets[self._ids[job.id]], job)
        self._count_resources()

    def _in_order(self) -> list[Job]:
        """The jobs, each behind what it needs."""
        ordered: dict[int, Job] = {}
        waiting = [(job.id, False) for job in sorted(self._workflow.jobs, key=_name, reverse=True)]
        while waiting:
            number, is_done = waiting.pop()
            if number in ordered:
                continue
            if is_done:
                ordered[number] = self._jobs[number]
            else:
                waiting.append((number, True))
                waiting += [(each, False) for each in reversed(self._jobs[number].needs)]
        return list(ordered.values())

    def _fill(self, ticket: dict[str, Any], job: Job) -> None:
        place = ("tickets", self._ids[job.id])
        if job.message:
            ticket["title"] = literal(" ".join(job.message.split()))
        if job.priority > 0:
            ticket["priority"] = "high"
        needs, reads = self._needs(job)
        if needs:
            ticket["needs"] = needs
        self._files(ticket, job, reads, place)
        self._limits(ticket, job, place)
        if job.retries:
            ticket["retries"] = job.retries
        self._tell(job, place)
        by_snakemake = self._why_by_snakemake(job)
        if by_snakemake:
            self._by_snakemake(ticket, job, by_snakemake, place)
        else:
            ticket["run"] = literal(self._command(job))

    def _needs(self, job: Job) -> tuple[list[str], list[JobFile]]:
        """The tickets that it needs, and what it reads; streams into it are made beside it, by Snakemake."""
        needs: dict[str, None] = {}
        reads = [each for each in job.input if not _STREAMS.intersection(each.flags)]
        waiting = list(reversed(job.needs))
        while waiting:
            other = self._jobs[waiting.pop()]
            if other.id in self._ids:
                needs[self._ids[other.id]] = None
                continue
            waiting += reversed(other.needs)
            if _is_stream(other):
                reads += [each for each in other.input if not _STREAMS.intersection(each.flags)]
        return list(needs), reads

    def _files(self, ticket: dict[str, Any], job: Job, reads: list[JobFile], place: tuple[str, ...]) -> None:
        for key, files in (("reads", reads), ("writes", job.output)):
            said = []
            for each in files:
                if each.path == "<TBD>" or "ancient" in each.flags:
                    continue
                found = None if "remote" in each.flags else pattern(os.path.normpath(each.path))
                if found is None:
                    self._draft.leave_out(place, f"{key} {each.path}: no pattern can say it")
                else:
                    said.append(f"{found}/**" if self._is_folder(each) else found)
            if said:
                ticket[key] = list(dict.fromkeys(said))
        if job.is_open or not job.output:
            ticket["up_to_date"] = False

    def _is_folder(self, file: JobFile) -> bool:
        return os.path.normpath(file.path) in self._folders or Path(self._workflow.folder, file.path).is_dir()

    def _limits(self, ticket: dict[str, Any], job: Job, place: tuple[str, ...]) -> None:
        uses: dict[str, Any] = {}
        if job.threads > 1:
            uses["cpu"] = job.threads
        for name, value in job.resources.items():
            match name, value:
                case "mem_mb", int() | float() if value * 1_000_000 > self._memory:
                    self._once(f"mem_mb of rule {job.rule}: this machine has no {value} MB", place)
                case "mem_mb", int() | float() if value > 0:
                    uses["memory"] = f"{int(value)}MB"
                case "runtime", int() | float() if value > 0:
                    ticket["estimate"] = f"{int(value)}m"
                case _ if name in _SILENT:
                    pass
                case _, int() if value > 0:
                    uses[name.strip("_") or name] = value
                case _, int():
                    pass
                case _:
                    self._once(f"resource {name} of rule {job.rule}: {value}", place)
        if uses:
            ticket["uses"] = uses

    def _count_resources(self) -> None:
        """As many of each resource as all tickets want together: Snakemake limits none without --resources."""
        wanted: dict[str, int] = {}
        for ticket in self._draft.tickets.values():
            for name, amount in ticket.get("uses", {}).items():
                if name not in ("cpu", "memory"):
                    wanted[name] = wanted.get(name, 0) + amount
        for name, amount in wanted.items():
            self._draft.tables["resources"][name] = amount
            self._draft.comment(("resources", name), "as many as all want together: say how many there are")

    def _tell(self, job: Job, place: tuple[str, ...]) -> None:
        rule = f"of rule {job.rule}"
        if any("temp" in each.flags for each in job.output):
            self._once(f"temp() {rule}: what is temporary stays", place)
        if job.benchmark:
            self._once(f"benchmark {rule}: {job.benchmark} is not written", place)
        for each in job.environments:
            self._once(f"{each} {rule}: it runs in the environment of parexec", place)
        if job.is_checkpoint:
            what = f"rule {job.rule} is a checkpoint: what only its output tells is in no ticket"
            self._once(f"{what}; import again when it has run", place)

    def _once(self, what: str, place: tuple[str, ...]) -> None:
        """Leave something out, with one warning for all jobs of a rule."""
        if what in self._told:
            self._draft.comment(place, f"not carried over: {what}")
        else:
            self._told.add(what)
            self._draft.leave_out(place, what)

    def _why_by_snakemake(self, job: Job) -> str:
        if job.is_open:
            return "what it reads is known after a checkpoint"
        if any(_STREAMS.intersection(each.flags) for each in job.input):
            return "it reads from a job that runs beside it"
        if job.kind not in ("none", "shell"):
            return f"it is no command ({job.kind})"
        if "<TBD>" in job.command:
            return "its parameters are known when its input is there"
        if job.shadow:
            return f"it runs in a shadow folder ({job.shadow})"
        if any("remote" in each.flags for each in (*job.input, *job.output)):
            return "it uses files that are elsewhere"
        return ""

    def _by_snakemake(self, ticket: dict[str, Any], job: Job, why: str, place: tuple[str, ...]) -> None:
        whole = job.is_open or any(_STREAMS.intersection(each.flags) for each in job.input)
        only = "" if whole else f" --allowed-rules {shlex.quote(job.rule)}"
        target = job.output[0].path if job.output else job.rule
        cores = "all" if whole else job.threads
        ticket["requires_commands"] = ["snakemake"]
        ticket["run"] = literal(f"{self._snakemake} --cores {cores} --force --notemp{only} -- {shlex.quote(target)}")
        self._draft.comment((*place, "run"), f"Snakemake itself runs this job: {why}")
        if whole:
            self._once(f"rule {job.rule}: {why}; Snakemake itself runs all that is missing, as one ticket", place)

    def _command(self, job: Job) -> str:
        """What Snakemake does around a command: what it wrote before goes, folders are made, its output is there."""
        files = [shlex.quote(each.path) for each in job.output if "touch" not in each.flags]
        folders = {str(PurePath(path).parent) for path in (*(each.path for each in job.output), *job.log)}
        made = sorted(shlex.quote(folder) for folder in folders - {".", "/"})
        touched = [shlex.quote(each.path) for each in job.output if "touch" in each.flags]
        empty = [shlex.quote(each.path) for each in job.output if {"touch", "directory"} <= set(each.flags)]
        protected = [shlex.quote(each.path) for each in job.output if "protected" in each.flags]
        command = _dedented(job.command)
        old = [shlex.quote(each.path) for each in job.output if not {"touch", "update"}.intersection(each.flags)]
        lines = [f"rm -rf -- {' '.join(old)}"] * bool(old)
        lines += [f"mkdir -p -- {' '.join(made)}"] * bool(made)
        lines += [f"{self._prefix}{command}"] * bool(command)
        lines += [f"mkdir -p -- {' '.join(empty)}"] * bool(empty)
        lines += [f"touch -- {' '.join(touched)}"] * bool(touched)
        lines += [f"ls -d -- {' '.join(files)} > /dev/null"] * bool(files)
        lines += [f"chmod a-w -- {' '.join(protected)}"] * bool(protected)
        return "\n".join(lines)


def _has_work(job: Job) -> bool:
    return job.kind != "none" or job.is_open or any("touch" in each.flags for each in job.output)


def _is_stream(job: Job) -> bool:
    """Whether it runs beside those that read it."""
    return any(_STREAMS.intersection(each.flags) for each in job.output)


def _name(job: Job) -> tuple[str, list[str]]:
    return job.rule, [*job.wildcards.values()]


def _dedented(command: str) -> str:
    """A command without the indentation of its Snakefile, unless some text in it may mean that."""
    lines = command.splitlines()
    if "<<" in command or any(line.count("'") % 2 or line.count('"') % 2 for line in lines):
        return command.strip("\n").rstrip()
    return textwrap.dedent("\n".join(lines if lines and lines[0].strip() == "" else map(str.lstrip, lines))).strip()
