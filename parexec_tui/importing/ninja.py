"""ninja: each edge of a build.ninja that its default targets need becomes a ticket.

Files become `reads` and `writes`, so `up_to_date` decides by content what ninja decides by time; a depfile says what
else was read. What a ticket gets from another edge it needs; what is only ordered (`||`) is in `after`.
"""

import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from parexec_tui.core.plan.units import format_count
from parexec_tui.importing.draft import Draft, ImportFault, literal, pattern, patterns
from parexec_tui.importing.formats import Wanted, file_of
from parexec_tui.importing.ninja_file import Edge, NinjaFile, canonical, quoted, read_ninja

_MOST_OF_COMMAND: Final = 120_000
"""Bytes of a command, with its response file: Linux takes no longer argument."""

_NAMED: Final = 8
"""Targets that are named in a warning."""


def read(wanted: Wanted) -> Draft:
    """The plan of a build.ninja. `parts`: targets. Raises ImportFault."""
    file = file_of(wanted.source, ("build.ninja",))
    found = read_ninja(file)
    draft = Draft(f"Imported from {file.name} by `parexec import ninja`: ninja is not needed to run it.")
    draft.set_workdir(file.parent, wanted.folder)
    draft.tables["plan"]["shell"] = ["/bin/sh", "-c"]
    draft.tables["defaults"]["up_to_date"] = True
    importer = _Importer(found, draft, file.parent)
    targets = [canonical(part) for part in wanted.parts] or found.defaults or _roots(found)
    importer.take(targets, file)
    if not wanted.parts:
        importer.tell_of_others(file)
    return draft


def _roots(found: NinjaFile) -> list[str]:
    """What no other edge takes: what ninja builds if a file has no `default`."""
    taken = {path for edge in found.edges for path in (*edge.inputs, *edge.implicit, *edge.order_only)}
    return [path for edge in found.edges for path in edge.outputs if path not in taken]


class _Importer:
    def __init__(self, found: NinjaFile, draft: Draft, folder: Path) -> None:
        self._found, self._draft, self._folder = found, draft, folder
        self._ids: dict[str, str] = {}
        """{key of an edge: the id of its ticket}"""
        self._behind: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._generators: set[str] = set()

    def take(self, targets: Iterable[str], file: Path) -> None:
        """Make tickets of all that these targets need. Raises ImportFault."""
        found = self._found
        edges: dict[str, Edge] = {}
        waiting = []
        for target in targets:
            edge = found.by_output.get(target)
            if edge is None:
                raise ImportFault(str(file), f"it has no target {target!r}: `ninja -t targets all` lists them")
            waiting.append(edge)
        while waiting:
            edge = waiting.pop()
            if edge.key in edges:
                continue
            edges[edge.key] = edge
            for path in (*edge.inputs, *edge.implicit, *edge.order_only, *edge.validations):
                waiting += filter(None, (found.by_output.get(path),))
        in_order = [edge for edge in found.edges if edge.key in edges and not edge.is_phony]
        for edge in in_order:
            if edge.value("generator"):
                self._generators.add(edge.key)
                self._draft.leave_out(
                    (),
                    f"{', '.join(edge.outputs[:2])} is written by `{edge.value('command')[:80]}`: import again when "
                    "the build is configured anew",
                    edge.where,
                )
                continue
            self._ids[edge.key] = id_ = self._draft.fresh_id(edge.outputs[0])
            self._draft.tickets[id_] = {}
        for edge in in_order:
            if edge.key not in self._generators:
                self._draft.tickets[self._ids[edge.key]] = self._ticket(edge)
        self._taken = edges

    def tell_of_others(self, file: Path) -> None:
        """Say which targets are built only if they are named."""
        others = [
            edge.outputs[0]
            for edge in self._found.edges
            if edge.key not in self._taken and not edge.value("generator") and edge.outputs[0] != "build.ninja"
        ]
        roots = set(_roots(self._found))
        others = [path for path in others if path in roots]
        if others:
            names = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
            self._draft.leave_out(
                (),
                f"{format_count(len(others), 'target')} that ninja builds only by name: {names}; "
                f"`parexec import ninja {shlex.quote(file.name)} TARGET` takes one",
            )

    def _ticket(self, edge: Edge) -> dict[str, object]:
        ticket: dict[str, object] = {}
        place = ("tickets", self._ids[edge.key])
        if title := edge.value("description", as_shell=False):
            ticket["title"] = literal(title)
        files, needs = self._sources((*edge.inputs, *edge.implicit))
        _, order = self._sources(edge.order_only)
        own = self._ids[edge.key]
        if needs := [id_ for id_ in needs if id_ != own]:
            ticket["needs"] = needs
        if after := [id_ for id_ in order if id_ not in needs and id_ != own]:
            ticket["after"] = after
        if reads := patterns(files):
            ticket["reads"] = reads
        if writes := patterns(edge.outputs):
            ticket["writes"] = writes
        for path in (*files, *edge.outputs):
            if pattern(path) is None:
                self._draft.leave_out(place, f"no pattern can say the path {path!r}: nobody looks at it", edge.where)
        self._set_depfile(ticket, place, edge)
        if self._is_always_run(edge):
            self._draft.comment((*place, "up_to_date"), "it depends on what is never there, so it always runs")
            ticket["up_to_date"] = False
        if (pool := edge.value("pool")) and self._room_of(pool):
            ticket["uses"] = {pool: 1}
        if edge.value("dyndep"):
            self._draft.leave_out(place, "dyndep: what it finds out while it runs is not waited for", edge.where)
        ticket["run"] = literal(self._command(edge, place))
        return ticket

    def _sources(self, paths: Iterable[str]) -> tuple[list[str], list[str]]:
        """The files of these inputs, aliases resolved, and the tickets that make them."""
        files: dict[str, None] = {}
        ids: dict[str, None] = {}
        for path in paths:
            maker = self._found.by_output.get(path)
            if maker is None:
                files[path] = None
            elif not maker.is_phony:
                files[path] = None
                if (id_ := self._ids.get(maker.key)) is not None:
                    ids[id_] = None
            else:
                if not (maker.inputs or maker.implicit):
                    files[path] = None
                behind_files, behind_ids = self._behind_phony(maker)
                files.update(dict.fromkeys(behind_files))
                ids.update(dict.fromkeys(behind_ids))
        return [path for path in files if not self._is_alias(path)], list(ids)

    def _is_alias(self, path: str) -> bool:
        maker = self._found.by_output.get(path)
        return maker is not None and maker.is_phony and not (self._folder / path).exists()

    def _behind_phony(self, edge: Edge) -> tuple[tuple[str, ...], tuple[str, ...]]:
        known = self._behind.get(edge.key)
        if known is None:
            self._behind[edge.key] = ((), ())  # an alias of itself stands for nothing
            files, ids = self._sources((*edge.inputs, *edge.implicit))
            _, order = self._sources(edge.order_only)
            known = self._behind[edge.key] = (tuple(files), tuple(dict.fromkeys([*ids, *order])))
        return known

    def _is_always_run(self, edge: Edge, depth: int = 0) -> bool:
        """Whether it depends on an alias of nothing, which ninja takes as never up to date."""
        for path in (*edge.inputs, *edge.implicit):
            maker = self._found.by_output.get(path)
            if maker is None or not maker.is_phony or depth > len(self._found.edges):
                continue
            if maker.inputs or maker.implicit or maker.order_only:
                if self._is_always_run(maker, depth + 1):
                    return True
            elif not (self._folder / path).exists():
                return True
        return False

    def _set_depfile(self, ticket: dict[str, object], place: tuple[str, str], edge: Edge) -> None:
        depfile, deps = edge.value("depfile", as_shell=False), edge.value("deps")
        if deps not in ("", "gcc"):
            self._draft.leave_out(place, f"deps = {deps}: changes of files that it includes are not seen", edge.where)
        elif depfile and "reads" not in ticket:
            self._draft.leave_out(place, f"depfile {depfile}: it has no inputs", edge.where)
        elif depfile:
            ticket["depfile"] = literal(depfile)

    def _room_of(self, pool: str) -> int:
        """How many of a pool run at once; 0: any number."""
        depth = 1 if pool == "console" else self._found.pools.get(pool, 0)
        if depth:
            self._draft.tables["resources"][pool] = depth
        return depth

    def _command(self, edge: Edge, place: tuple[str, str]) -> str:
        lines = [*self._preparation(edge)]
        rsp = edge.value("rspfile", as_shell=False)
        command = edge.value("command")
        if not rsp:
            return "\n".join((*lines, command))
        content = edge.value("rspfile_content")
        if len(os.fsencode(content)) + len(os.fsencode(command)) > _MOST_OF_COMMAND:
            self._draft.leave_out(
                place,
                f"its response file {rsp} would be too long for a command: write it to a file and name that",
                edge.where,
            )
            return "\n".join((*lines, command))
        name = quoted(rsp)
        return "\n".join((*lines, f"printf %s {shlex.quote(content)} > {name}", f"{command} && rm -f {name}"))

    def _preparation(self, edge: Edge) -> Iterator[str]:
        """ninja makes the folders of what an edge writes; `test` is a part of the shell and costs no process."""
        paths = (*edge.outputs, edge.value("depfile", as_shell=False), edge.value("rspfile", as_shell=False))
        folders = dict.fromkeys(os.path.dirname(path) for path in paths if path)  # noqa: PTH120 - text, not a path
        for folder in folders:
            if folder not in ("", "/"):
                yield f"test -d {quoted(folder)} || mkdir -p {quoted(folder)} || exit"
