"""Task: the tasks of a Taskfile (version 3) that are wanted, and what they call, become tickets."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from parexec_tui.core.plan.expanding.references import is_name
from parexec_tui.importing.draft import Draft, ImportFault, literal
from parexec_tui.importing.formats import Wanted, file_of
from parexec_tui.importing.ordering import follow
from parexec_tui.importing.shell_words import changes_shell, in_single_quotes
from parexec_tui.importing.yaml_file import YamlFile, as_list, as_table, as_text, scalar

_NAMES: Final = tuple(
    f"{name}{dist}.{ending}"
    for dist in ("", ".dist")
    for ending in ("yml", "yaml")
    for name in ("Taskfile", "taskfile")
)
_FIELD = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_DEFAULT = re.compile(
    r'default\s+(?:"(?P<text>[^"\\]*)"|(?P<other>\.\w+))\s+(?P<name>\.\w+)'
    r'|(?P<name2>\.\w+)\s*\|\s*default\s+"(?P<text2>[^"\\]*)"'
)
_KNOWN: Final = frozenset(
    {"aliases", "cmd", "cmds", "deps", "desc", "dir", "env", "generates", "ignore_error", "internal", "label"}
    | {"method", "platforms", "preconditions", "prefix", "run", "silent", "sources", "status", "summary", "vars"}
)
_KNOWN_OF_ALL: Final = frozenset(
    {"version", "tasks", "vars", "env", "dotenv", "output", "silent", "run", "interval", "method"}
)

Scope = Mapping[str, str | None]
"""What `{{.NAME}}` stands for in the plan; None: a variable of the shell."""


def read(wanted: Wanted) -> Draft:
    """The plan of a Taskfile. `parts`: tasks; without one, `default`. Raises ImportFault."""
    path = file_of(wanted.source, _NAMES)
    file = YamlFile(path)
    if not as_text(file.top.get("version")).startswith("3"):
        raise ImportFault(str(path), "it is no Taskfile of version 3")
    draft = Draft(f"Imported from {path.name} by `parexec import task`.")
    draft.set_workdir(path.parent, wanted.folder)
    _Importer(file, draft).take(wanted.parts, path)
    return draft


class _Importer:
    def __init__(self, file: YamlFile, draft: Draft) -> None:
        self._file, self._draft = file, draft
        self._tasks = {str(name): self._as_task(task) for name, task in as_table(file.top.get("tasks")).items()}
        self._made: dict[tuple[str, str], list[str]] = {}
        self._scope: dict[str, str | None] = {}
        self._shell: dict[str, str] = {}
        """{name: the command whose output is the value}"""

    @staticmethod
    def _as_task(task: object) -> dict[str, Any]:
        return task if isinstance(task, dict) else {"cmds": as_list(task)}

    def take(self, parts: tuple[str, ...], path: Path) -> None:
        """Make tickets of these tasks and of what they call. Raises ImportFault."""
        draft, top = self._draft, self._file.top
        draft.tables["plan"]["shell"] = ["bash", "-e", "-c"]
        for key in top:
            if key not in _KNOWN_OF_ALL:
                draft.leave_out((), f"{key}: {' '.join(str(top[key]).split())[:100]}", self._file.where(top, key))
        self._scope, self._shell = self._variables(top, {}, (), is_plan=True)
        if files := [as_text(each) for each in as_list(top.get("dotenv"))]:
            draft.tables["defaults"]["env_file"] = [draft.env_file(each) for each in reversed(files)]
        env = self._variables(top, self._scope, ("defaults",), key="env")
        if said := {name: value for name, value in env[0].items() if value is not None}:
            draft.tables["defaults"]["env"] = said
        self._env = env[1]
        for name in parts or ("default",):
            if name not in self._tasks:
                raise ImportFault(str(path), f"it has no task {name!r}: name one of {', '.join(self._public())}")
            self._make(name, {}, ())
        for ticket in draft.tickets.values():
            ticket["run"] = ticket.pop("run")

    def _public(self) -> list[str]:
        return [name for name, task in self._tasks.items() if not task.get("internal")]

    def _variables(
        self, of: dict[str, Any], scope: Scope, place: tuple[str, ...], *, key: str = "vars", is_plan: bool = False
    ) -> tuple[dict[str, str | None], dict[str, str]]:
        """What its variables stand for, and the commands of those that a command tells."""
        said: dict[str, str | None] = {}
        commands: dict[str, str] = {}
        table = as_table(of.get(key))
        for name, value in table.items():
            known = {**scope, **said} if key == "vars" else scope
            where = self._file.where(table, name)
            if isinstance(value, dict) and "sh" in value and re.fullmatch(r"\w+", str(name)):
                said[name] = None
                commands[name] = self._text(as_text(value["sh"]), known, place, where, is_run=True)
            elif isinstance(value, dict | list):
                self._draft.leave_out(place, f"{name} = {' '.join(str(value).split())[:100]}", where)
            elif is_plan and is_name(str(name)) and _simple(value):
                text = scalar(value)
                is_text = isinstance(text, str)
                self._draft.tables["vars"][name] = self._text(str(text), known, (), where) if is_text else text
                said[name] = f"{{{name}}}"
            else:
                said[name] = self._text(as_text(value), known, place, where)
        return said, commands

    def _text(self, source: str, scope: Scope, place: tuple[str, ...], where: str, *, is_run: bool = False) -> str:
        parts, at = [], 0
        for found in _FIELD.finditer(source):
            before = source[at : found.start()]
            is_quoted = in_single_quotes(source[: found.start()])
            said = self._field(found[1], scope, is_run=is_run and not is_quoted)
            if said is None:
                self._draft.leave_out(place, f"{found[0]}: put its value there", where)
                said = literal(found[0])
            elif said.startswith("{") and before.endswith("{"):
                said = "{" + said
            parts += [literal(before), said]
            at = found.end()
        return "".join((*parts, literal(source[at:])))

    @staticmethod
    def _field(field: str, scope: Scope, *, is_run: bool) -> str | None:
        name = field.removeprefix(".")
        if field == "OS":
            return "linux"
        if found := _DEFAULT.fullmatch(field):
            value = _Importer._field(found["name"] or found["name2"], scope, is_run=is_run)
            if value is None and (found["name"] or found["name2"]).removeprefix(".") not in scope:
                value = _Importer._field(found["other"], scope, is_run=is_run) if found["other"] else None
                text = found["text"] if found["text"] is not None else found["text2"]
                value = literal(text) if text is not None else value
            return value
        if name == "CLI_ARGS":
            return ""
        if not field.startswith("."):
            return None
        if name in scope:
            value = scope[name]
            return (f"${{{name}}}" if is_run else None) if value is None else value
        if name in ("ROOT_DIR", "TASKFILE_DIR"):
            return "${PAREXEC_WORKDIR}" if is_run else None
        return None

    def _make(self, name: str, given: dict[str, str], above: tuple[str, ...]) -> list[str]:
        """The tickets after whose success a task has succeeded. Raises ImportFault."""
        task = self._tasks[name]
        if name in above:
            raise ImportFault(self._file.where(task), f"tasks call each other: {' → '.join((*above, name))}")
        key = (name, repr(sorted(given.items())))
        if key not in self._made:
            self._made[key] = self._tickets(name, task, given, (*above, name))
        return self._made[key]

    def _tickets(self, name: str, task: dict[str, Any], given: dict[str, str], above: tuple[str, ...]) -> list[str]:
        draft = self._draft
        commands = as_list(task.get("cmds")) or as_list(task.get("cmd"))
        first = next((at for at, each in enumerate(commands) if not _is_call(each)), len(commands))
        last = next((at for at in range(len(commands), first, -1) if not _is_call(commands[at - 1])), first)
        id_ = draft.fresh_id("-".join((name, *given.values())))
        place = ("tickets", id_) if first < last else ()
        scope: dict[str, str | None] = {**self._scope, "TASK": literal(name)}
        own, own_shell = self._variables(task, {**scope, **given}, place)
        scope |= {**own, **given}
        needs = [each for dep in as_list(task.get("deps")) for each in self._call(dep, scope, place, above, task)]
        before = self._chain(commands[:first], needs, scope, place, above, task)
        if first == last:
            return before
        if id_ in draft.tickets:
            id_ = draft.fresh_id(id_)
            place = ("tickets", id_)
        ticket: dict[str, Any] = {}
        draft.tickets[id_] = ticket
        if desc := task.get("desc"):
            ticket["title"] = self._text(as_text(desc), scope, (*place, "title"), self._file.where(task, "desc"))
        if before := list(dict.fromkeys(before)):
            ticket["needs"] = before
        self._files(ticket, task, scope, place)
        if folder := as_text(task.get("dir")):
            ticket["cwd"] = self._text(folder, scope, (*place, "cwd"), self._file.where(task, "dir"))
        env, env_shell = self._variables(task, scope, place, key="env")
        if said := {key: value for key, value in env.items() if value is not None}:
            ticket["env"] = said
        for key in task:
            if key not in _KNOWN:
                what = f"{key}: {' '.join(str(task[key]).split())[:100]}"
                draft.leave_out(place, what, self._file.where(task, key))
        lines = [*self._lines(commands[first:last], scope, place, task)]
        exports = {**self._env, **env_shell}
        shell = {**self._shell, **own_shell}
        body = "\n".join((*lines, *exports.values()))
        used = [f'{each}="$({shell[each]})"' for each in shell if self._is_used(each, body, shell)]
        used += [f'export {each}="$({command})"' for each, command in exports.items()]
        ticket["run"] = "\n".join((*used, *self._conditions(task, scope, place), *lines))
        return self._chain(commands[last:], [id_], scope, place, above, task)

    @staticmethod
    def _is_used(name: str, body: str, shell: dict[str, str]) -> bool:
        word = f"${{{name}}}"
        return word in body or any(word in command for command in shell.values())

    def _call(
        self, call: object, scope: Scope, place: tuple[str, ...], above: tuple[str, ...], of: dict[str, Any]
    ) -> list[str]:
        """The tickets of a task that is called."""
        table = call if isinstance(call, dict) else {"task": call}
        name = as_text(table.get("task")).removeprefix(":")
        where = self._file.where(call if isinstance(call, dict) else of)
        if name not in self._tasks or "for" in table:
            self._draft.leave_out(place, f"task {name}: it is not in this file, or called in a loop", where)
            return []
        given = {
            key: self._text(as_text(value), scope, place, where)
            for key, value in as_table(table.get("vars")).items()
            if not isinstance(value, dict | list)
        }
        for key, value in as_table(table.get("vars")).items():
            if key not in given:
                self._draft.leave_out(place, f"{key} = {' '.join(str(value).split())[:100]}", where)
        return self._make(name, given, above)

    def _chain(
        self,
        calls: list[dict[str, Any]],
        before: list[str],
        scope: Scope,
        place: tuple[str, ...],
        above: tuple[str, ...],
        of: dict[str, Any],
    ) -> list[str]:
        """Tasks one after another: all that one of them brings waits for the one before it."""
        for call in calls:
            before = follow(self._draft, self._call(call, scope, place, above, of), before)
        return before

    def _lines(
        self, commands: list[Any], scope: Scope, place: tuple[str, ...], task: dict[str, Any]
    ) -> Iterator[str]:
        """The commands of a task, each as in a shell of its own."""
        has_defer = False
        for number, command in enumerate(commands):
            where = self._file.where(command if isinstance(command, dict) else task)
            table = command if isinstance(command, dict) else {"cmd": command}
            if "defer" in table and isinstance(table["defer"], str) and not has_defer:
                has_defer = True
                text = self._text(table["defer"], scope, (*place, "run"), where, is_run=True)
                yield f"trap {shlex.quote(text)} EXIT"
                continue
            if "cmd" not in table or not _runs_here(table):
                self._draft.leave_out((*place, "run"), " ".join(str(dict(table)).split())[:100], where)
                continue
            for each in self._rounds(table, scope, place, where):
                text = self._text(as_text(table["cmd"]).rstrip(), each, (*place, "run"), where, is_run=True)
                if table.get("ignore_error") or task.get("ignore_error"):
                    yield from ("set +e", "(", "set -e", text, ")", "set -e")
                elif changes_shell(text) and (number + 1 < len(commands) or "for" in table):
                    yield from ("(", text, ")")
                else:
                    yield text

    def _rounds(self, table: dict[str, Any], scope: Scope, place: tuple[str, ...], where: str) -> list[Scope]:
        """A scope for each round of a loop; one if there is none."""
        match table.get("for"):
            case None:
                return [scope]
            case list() as items if not any(isinstance(item, dict | list) for item in items):
                return [{**scope, "ITEM": literal(as_text(item))} for item in items]
            case other:
                self._draft.leave_out((*place, "run"), f"for: {' '.join(str(other).split())[:100]}", where)
                return []

    def _files(self, ticket: dict[str, Any], task: dict[str, Any], scope: Scope, place: tuple[str, ...]) -> None:
        folder = as_text(task.get("dir"))
        for key, name in (("sources", "reads"), ("generates", "writes")):
            found = []
            for path in as_list(task.get(key)):
                where = self._file.where(task, key)
                if isinstance(path, dict):
                    self._draft.leave_out((*place, name), " ".join(str(dict(path)).split())[:100], where)
                else:
                    text = self._text(as_text(path), scope, (*place, name), where).removeprefix("./")
                    found.append(f"{folder}/{text}" if folder and not text.startswith("/") else text)
            if found:
                ticket[name] = list(dict.fromkeys(found))
        status = as_list(task.get("status"))
        where = self._file.where(task, "status")
        if status and "reads" in ticket:
            self._draft.leave_out(place, "status beside sources: it runs each time", where)
        elif status:
            said = [self._text(as_text(each), scope, (*place, "skip_if"), where, is_run=True) for each in status]
            ticket["skip_if"] = "\n".join(said)
        elif "reads" in ticket and task.get("method") != "none":
            ticket["up_to_date"] = True

    def _conditions(self, task: dict[str, Any], scope: Scope, place: tuple[str, ...]) -> Iterator[str]:
        if not _runs_here(task):
            self._draft.leave_out(
                (*place, "run"), f"platforms: {task['platforms']}", self._file.where(task, "platforms")
            )
            yield "exit 0"
        for each in as_list(task.get("preconditions")):
            table = each if isinstance(each, dict) else {"sh": each}
            where = self._file.where(task, "preconditions")
            test = self._text(as_text(table.get("sh")), scope, (*place, "run"), where, is_run=True)
            message = shlex.quote(
                self._text(as_text(table.get("msg", table.get("sh"))), scope, (*place, "run"), where)
            )
            yield f"( {test} ) || {{ echo {message} >&2; exit 1; }}"


def _is_call(command: object) -> bool:
    return isinstance(command, dict) and "task" in command and "for" not in command


def _simple(value: object) -> bool:
    return value is not None and not isinstance(value, dict | list)


def _runs_here(of: dict[str, Any]) -> bool:
    platforms = [as_text(each) for each in as_list(of.get("platforms"))]
    return not platforms or any(each.startswith("linux") for each in platforms)
