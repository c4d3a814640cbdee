"""GitHub Actions: each job of a workflow becomes a ticket, or a family where it has a matrix.

The `run` steps of a job are one command, each as if in a shell of its own. Actions (`uses`) are programs of GitHub:
they are comments where they stood.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from parexec_tui.core.plan.when import names_in
from parexec_tui.importing.draft import Draft, ImportFault, literal
from parexec_tui.importing.formats import Wanted
from parexec_tui.importing.github_condition import Unsaid
from parexec_tui.importing.github_matrix import Matrix, read_matrix
from parexec_tui.importing.github_terms import Terms
from parexec_tui.importing.github_when import when_of
from parexec_tui.importing.shell_words import changes_shell
from parexec_tui.importing.yaml_file import YamlFile, as_list, as_table, as_text

_FOLDER = Path(".github", "workflows")

_FILES = re.compile(r"\bGITHUB_(?:ENV|PATH|OUTPUT|STEP_SUMMARY)\b")
_SILENT: Final = frozenset({"permissions", "concurrency"})
"""Keys that say what GitHub may do; nothing of a plan is like them, and nothing is missing without them."""

_JOB_KEYS: Final = frozenset(
    (
        "continue-on-error",
        "name",
        "needs",
        "runs-on",
        "strategy",
        "steps",
        "env",
        "defaults",
        "if",
        "services",
        "timeout-minutes",
    )
)
_STEP_KEYS: Final = frozenset(
    ("name", "id", "run", "uses", "with", "env", "if", "shell", "working-directory", "continue-on-error")
)


def read(wanted: Wanted) -> Draft:
    """The plan of a workflow. `parts`: jobs. Raises ImportFault."""
    path = _workflow(wanted.source)
    file = YamlFile(path)
    draft = Draft(f"Imported from {path.name} by `parexec import github`.")
    folder = path.resolve().parent
    draft.set_workdir(folder.parents[1] if folder.parts[-2:] == _FOLDER.parts else folder, wanted.folder)
    _Importer(file, draft).take(wanted.parts, path)
    return draft


def _workflow(source: Path) -> Path:
    if not source.is_dir():
        return source
    folder = source / _FOLDER if (source / _FOLDER).is_dir() else source
    found = sorted(path for path in folder.iterdir() if path.suffix in (".yml", ".yaml"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise ImportFault(str(source), f"there is no workflow in it, in {_FOLDER}: name the file")
    raise ImportFault(str(source), f"it has {len(found)} workflows: name one of {', '.join(map(str, found))}")


_SECRET = re.compile(r"\s*\$\{\{\s*secrets\.(\w+)\s*\}\}\s*").fullmatch


class _Importer:
    def __init__(self, file: YamlFile, draft: Draft) -> None:
        self._file, self._draft = file, draft
        self._jobs = as_table(file.top.get("jobs"))
        self._env = _known(file.top.get("env"))
        self._shell = _shell_of(self._jobs, file.top)

    def take(self, parts: tuple[str, ...], path: Path) -> None:
        """Make tickets of these jobs and what they need; of all if none is named. Raises ImportFault."""
        jobs, draft = self._jobs, self._draft
        if not jobs:
            raise ImportFault(str(path), "it has no jobs")
        for part in parts:
            if part not in jobs:
                raise ImportFault(str(path), f"it has no job {part!r}; its jobs: {', '.join(map(str, jobs))}")
        taken, waiting = set(), list(parts or jobs)
        while waiting:
            if (name := waiting.pop()) not in taken and isinstance(jobs.get(name), dict):
                taken.add(name)
                waiting += map(str, as_list(jobs[name].get("needs")))
        draft.tables["plan"].update(self._named(file := self._file))
        draft.tables["plan"]["shell"] = ["bash", *(("-eo", "pipefail") if self._shell else ("-e",)), "-c"]
        if env := self._variables(file.top, ("defaults", "env"), Terms({}, self._env)):
            draft.tables["defaults"]["env"] = env
        if secrets := _secrets(file.top):
            draft.tables["defaults"]["secrets"] = secrets
        for key in file.top:
            if key not in {"name", "run-name", "on", "env", "jobs", "defaults"} | _SILENT:
                draft.leave_out((), f"{key}: {_short(file.top[key])}", file.where(file.top, key))
        for name in [str(name) for name in jobs if name in taken]:
            _Job(self, file, draft, name, jobs[name]).take()
        self._let_needs_be()
        if len(draft.tickets) > 1 or any("matrix" in t or "foreach" in t for t in draft.tickets.values()):
            draft.leave_out(
                (), "a machine and a checkout for each job: here they run beside each other in one folder"
            )

    def _named(self, file: YamlFile) -> dict[str, Any]:
        return {"name": literal(as_text(file.top["name"]))} if file.top.get("name") else {}

    def _let_needs_be(self) -> None:
        """What needs a job that became no ticket needs what that one needed."""
        tickets = self._draft.tickets
        for id_, ticket in tickets.items():
            unknown = (
                [name for name in names_in(ticket["when"]) if name.rpartition(".")[0] not in tickets]
                if "when" in ticket
                else []
            )
            if unknown:
                job = as_table(self._jobs[id_])
                what = f"if: {_short(job['if'])}; to run it, delete when"
                self._draft.leave_out(("tickets", id_, "when"), what, self._file.where(job, "if"))
                ticket["when"] = "false"
            for key in ("needs", "after"):
                if key in ticket:
                    ticket[key] = list(dict.fromkeys(self._behind(ticket[key], set())))
                    if not ticket[key]:
                        del ticket[key]

    def is_one_ticket(self, name: str) -> bool:
        """Whether a job becomes a ticket, and no family."""
        job = as_table(self._jobs.get(name))
        return bool(job.get("steps")) and "matrix" not in as_table(job.get("strategy"))

    def _behind(self, names: list[str], seen: set[str]) -> Iterator[str]:
        for name in names:
            if name in self._draft.tickets:
                yield name
            elif name in self._jobs and name not in seen:
                yield from self._behind([*map(str, as_list(as_table(self._jobs[name]).get("needs")))], {*seen, name})

    def _variables(self, of: dict[str, Any], place: tuple[str, ...], terms: Terms) -> dict[str, str]:
        """Its `env` as the plan has it: a value reaches the process as it is written."""
        said, left = {}, []
        secrets = _secrets(of)
        for name, value in as_table(of.get("env")).items():
            if name in secrets:
                continue
            unsaid: list[str] = []
            text = terms.text(as_text(value), unsaid)
            if unsaid:
                left.append((f"{name} = {_short(value)}: set it where parexec is started", name))
            else:
                said[str(name)] = text
        for what, name in left:
            self._draft.leave_out(place if said else place[:-1], what, self._file.where(of["env"], name))
        return said


def _secrets(of: dict[str, Any]) -> list[str]:
    """The secrets that its `env` gives under their own names."""
    found = ((name, _SECRET(as_text(value))) for name, value in as_table(of.get("env")).items())
    return [str(name) for name, secret in found if secret is not None and secret[1] == name]


class _Job:
    """One job on its way to a ticket."""

    def __init__(self, importer: _Importer, file: YamlFile, draft: Draft, name: str, job: dict[str, Any]) -> None:
        self._importer, self._file, self._draft, self._name, self._job = importer, file, draft, name, job
        self._place = ("tickets", name)
        self._warned = len(draft.warnings)
        self._matrix = self._family()
        self._terms = Terms(self._matrix.names, {**importer._env, **_known(job.get("env"))})
        self._lines: list[str] = []
        self._runs = 0

    def _leave_out(self, key: str, what: str, at: object = None) -> None:
        place = (*self._place, key) if key else self._place
        self._draft.leave_out(place, what, self._file.where(*(at or (self._job, key))))  # type: ignore[misc]

    def take(self) -> None:
        job, draft = self._job, self._draft
        self._script()
        if not self._runs:
            del draft.warnings[self._warned :]
            used = [_short(job["uses"])] if "uses" in job else []
            used += [_short(step["uses"]) for step in as_list(job.get("steps")) if "uses" in as_table(step)]
            where = self._file.where(self._importer._jobs, self._name)
            draft.leave_out((), f"job {self._name}: nothing in it can be run here ({', '.join(used)})", where)
            for place in [place for place in draft.comments if place[:2] == self._place]:
                del draft.comments[place]
            return
        ticket: dict[str, Any] = dict(self._matrix.keys)
        draft.tickets[self._name] = ticket
        if title := job.get("name"):
            ticket["title"] = self._say("title", as_text(title), (job, "name"))
        self._order(ticket)
        self._limits(ticket)
        if env := self._importer._variables(job, (*self._place, "env"), self._terms):
            ticket["env"] = env
        if secrets := _secrets(job):
            ticket["secrets"] = list(dict.fromkeys((*_secrets(self._importer._file.top), *secrets)))
        self._services(ticket)
        if folder := self._folder():
            ticket["cwd"] = self._say("cwd", folder, (job, "defaults"))
        for key in job:
            if key not in _JOB_KEYS | _SILENT:
                self._leave_out("", f"{key}: {_short(job[key])}", (job, key))
        if "runs-on" in job:
            self._machines(job["runs-on"])
        ticket["run"] = "\n".join(self._lines)

    def _say(self, key: str, text: str, at: object) -> str:
        unsaid: list[str] = []
        said = self._terms.text(text, unsaid)
        if unsaid:
            self._leave_out(key, ", ".join(unsaid), at)
        return said

    def _family(self) -> Matrix:
        strategy = as_table(self._job.get("strategy"))
        table = strategy.get("matrix")
        if table is None:
            return Matrix({}, {})
        if not isinstance(table, dict):
            self._leave_out(
                "", f"matrix: {_short(table)}: what it holds is known to GitHub only", (strategy, "matrix")
            )
            return Matrix({}, {})

        def say(text: str) -> str:
            unsaid: list[str] = []
            said = Terms({}, self._importer._env).text(text, unsaid)
            if unsaid:
                what = f"{', '.join(unsaid)}: put the values here"
                self._leave_out("matrix" if "include" not in table else "", what, (strategy, "matrix"))
            return said

        family = read_matrix(table, self._name, say)
        if not family.keys:
            return family
        if strategy.get("fail-fast", True) is not False:
            family.keys["fail_fast"] = True
        if isinstance(most := strategy.get("max-parallel"), int):
            family.keys["max_parallel"] = int(most)
        elif most is not None:
            self._leave_out("", f"max-parallel: {_short(most)}", (strategy, "max-parallel"))
        return family

    def _order(self, ticket: dict[str, Any]) -> None:
        needs = [str(name) for name in as_list(self._job.get("needs"))]
        key = "needs"
        if (condition := self._job.get("if")) is not None:
            env = {name: value for name, value in self._importer._env.items() if "{" not in value}
            try:
                when, is_after = when_of(as_text(condition), needs, env, self._importer.is_one_ticket)
            except Unsaid:
                self._leave_out("when", f"if: {_short(condition)}; to run it, delete when", (self._job, "if"))
                when, is_after = "false", False
            key = "after" if is_after else key
            if when:
                ticket["when"] = when
        if needs:
            ticket[key] = needs

    def _limits(self, ticket: dict[str, Any]) -> None:
        job = self._job
        match job.get("timeout-minutes"):
            case None:
                pass
            case int() | float() as minutes if minutes > 0:
                ticket["timeout"] = f"{int(minutes)}m" if minutes == int(minutes) else f"{round(minutes * 60)}s"
            case other:
                self._leave_out("", f"timeout-minutes: {_short(other)}", (job, "timeout-minutes"))
        match job.get("continue-on-error"):
            case None | False:
                pass
            case True:
                ticket["allow_failure"] = True
            case other:
                self._leave_out("", f"continue-on-error: {_short(other)}", (job, "continue-on-error"))

    def _machines(self, runs_on: object) -> None:
        text = " ".join(map(as_text, as_list(runs_on)))
        if text.startswith("${{"):
            name = text.removeprefix("${{").removesuffix("}}").strip().removeprefix("matrix.")
            table = as_table(as_table(self._job.get("strategy")).get("matrix"))
            entries = [*as_list(table.get(name)), *(as_table(e).get(name) for e in as_list(table.get("include")))]
            text = ", ".join(dict.fromkeys(as_text(entry) for entry in entries if entry)) or text
        if not all(word.startswith("ubuntu") for word in text.split(", ")):
            self._leave_out("", f"runs-on: {text}: all of it runs on this machine", (self._job, "runs-on"))

    def _services(self, ticket: dict[str, Any]) -> None:
        services = as_table(self._job.get("services"))
        for name, service in services.items():
            service = as_table(service)
            unsaid: list[str] = []
            words = ["docker", "run", "--rm", "--name", f'"parexec-{name}"']
            terms = Terms({}, self._importer._env)
            for port in as_list(service.get("ports")):
                number = as_text(port)
                words += ["-p", terms.text(number if ":" in number else f"{number}:{number}", unsaid)]
            for key, value in as_table(service.get("env")).items():
                words += ["-e", shlex.quote(f"{key}={terms.text(as_text(value), unsaid)}")]
            for volume in as_list(service.get("volumes")):
                words += ["-v", shlex.quote(terms.text(as_text(volume), unsaid))]
            if options := " ".join(as_text(service.get("options")).replace("\\\n", " ").split()):
                words.append(terms.text(options, unsaid))
            words.append(terms.text(as_text(service.get("image")), unsaid))
            where = (services, name)
            if unsaid or not service.get("image"):
                self._leave_out("", f"service {name}: {', '.join(unsaid) or 'it has no image'}", where)
                continue
            ready = f"docker inspect -f '{{{{.State.Health.Status}}}}' \"parexec-{name}\" | grep -qx healthy"
            table = {"run": " ".join(words), "stop": f'docker stop "parexec-{name}"'}
            if "--health-cmd" in options:
                table["ready"] = literal(ready)
            elif ports := [
                as_text(port).rpartition("/")[0] or as_text(port) for port in as_list(service.get("ports"))
            ]:
                table["ready"] = f"tcp:{ports[0].split(':')[-2] if ':' in ports[0] else ports[0]}"
            others = self._draft.tables["services"]
            if others.setdefault(str(name), table) != table:
                self._leave_out("", f"service {name}: another job has a service of this name", where)
                continue
            ticket.setdefault("uses_service", []).append(str(name))
            self._draft.comments.setdefault(("services", str(name)), ["a container; all that use it share it"])

    def _default(self, key: str) -> str:
        for of in (self._job, self._file.top):
            if value := as_table(as_table(of.get("defaults")).get("run")).get(key):
                return as_text(value)
        return ""

    def _shell_named(self, step: dict[str, Any]) -> str:
        return as_text(step.get("shell")) or self._default("shell")

    def _folder(self) -> str:
        """The folder in which all of it runs; empty where that is the workdir, or steps differ."""
        folder = self._default("working-directory")
        own = any("working-directory" in as_table(step) for step in as_list(self._job.get("steps")))
        return "" if own else folder

    def _script(self) -> None:
        steps = [step for step in as_list(self._job.get("steps")) if isinstance(step, dict)]
        of_files = sorted({name for step in steps for name in _FILES.findall(as_text(step.get("run")))})
        for name in of_files:
            self._lines.append(
                f"export {name}=" + ("$(mktemp)" if name in ("GITHUB_ENV", "GITHUB_PATH") else "/dev/null")
            )
            if name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
                self._note(f"{name}: what is written there is read by nobody", self._file.where(self._job, "steps"))
        last = max((at for at, step in enumerate(steps) if "run" in step), default=-1)
        for at, step in enumerate(steps):
            self._step(step, is_last=at == last)

    def _note(self, what: str, where: str) -> None:
        """Leave something out where it stands among the steps."""
        self._draft.warnings.append(f"{where}: {what}")
        self._lines.append(f"# not carried over: {literal(what)} ({where})")

    def _step(self, step: dict[str, Any], *, is_last: bool) -> None:
        where = self._file.where(step)
        name = as_text(step.get("name"))
        if (action := step.get("uses")) is not None:
            given = as_table(step.get("with"))
            if (
                str(action).partition("@")[0] != "actions/checkout"
                or {"repository", "path", "submodules"} & given.keys()
            ):
                of = f" with {_short(', '.join(f'{key} = {as_text(value)}' for key, value in given.items()))}" * bool(
                    given
                )
                self._note(f"uses: {action}{of}", where)
            return
        if "run" not in step:
            self._note(f"step {_short(name)}: it has no run", where)
            return
        for key in step:
            if key not in _STEP_KEYS:
                self._note(f"{key}: {_short(step[key])}", self._file.where(step, key))
        met: bool | str = True
        if (condition := step.get("if")) is not None:
            try:
                met, functions = self._terms.condition(as_text(condition))
            except Unsaid:
                met, functions = False, frozenset()
            if met is False:
                self._note(
                    f"step {_short(name or step['run'])}, if: {_short(condition)}", self._file.where(step, "if")
                )
                return
            if "always" in functions:
                self._note("always(): it does not run after a step that fails", self._file.where(step, "if"))
        if (script := self._command(step)) is None:
            return
        self._runs += 1
        if name:
            self._lines.append(f"# {literal(' '.join(self._in_run(name, where).split()))}")
        exports = [
            f"export {key}={value}"
            for key, value in (
                (key, self._word(as_text(value), where)) for key, value in as_table(step.get("env")).items()
            )
        ]
        folder = as_text(step.get("working-directory")) or (
            "" if self._folder() else self._default("working-directory")
        )
        before = [*exports, *([f"cd {self._word(folder, where)}"] if folder else [])]
        if self._shell_named(step) == "bash" and not self._importer._shell:
            before.append("set -o pipefail")
        may_fail = step.get("continue-on-error") is True
        if step.get("continue-on-error") not in (None, True, False):
            self._note(f"continue-on-error: {_short(step['continue-on-error'])}", where)
        lines = [*before, script]
        writes = sorted({each for each in ("GITHUB_ENV", "GITHUB_PATH") if each in script})
        if may_fail:
            lines = ["set +e", "(", "set -e", *lines, ")", "set -e"]
        elif before or writes or (changes_shell(script) and not is_last):
            lines = ["(", *lines, ")"]
        if isinstance(met, str):
            lines = [f"if {met}; then", *lines, "fi"]
        if "GITHUB_ENV" in writes:
            lines.append('while IFS= read -r line; do export "$line"; done < "$GITHUB_ENV"')
        if "GITHUB_PATH" in writes:
            lines.append('while IFS= read -r line; do PATH="$line:$PATH"; done < "$GITHUB_PATH"')
        self._lines += lines

    def _in_run(self, text: str, where: str, *, is_word: bool = False) -> str:
        unsaid: list[str] = []
        said = self._terms.text(text, unsaid, is_run=True, is_word=is_word)
        for each in dict.fromkeys(unsaid):
            self._note(f"{' '.join(each.split())}: put its value there", where)
        return said

    def _word(self, text: str, where: str) -> str:
        """One word of the shell, in which variables are filled in if the workflow did so."""
        said = self._in_run(text, where, is_word=True)
        if "${{" not in text:
            return shlex.quote(said)
        return '"' + re.sub(r'(["\\`])', r"\\\1", said) + '"'

    def _command(self, step: dict[str, Any]) -> str | None:
        where = self._file.where(step, "run")
        shell = self._shell_named(step)
        script = as_text(step["run"]).rstrip()
        if shell in ("", "bash"):
            return self._in_run(script, where)
        words = shell.split()
        match words:
            case ["sh"]:
                words = ["sh", "-e", "-c"]
            case ["python"]:
                words = ["python3", "-c"]
            case ["bash" | "sh", *options, "{0}"]:
                words = [words[0], *options, "-c"]
            case _:
                self._note(f"step in {shell}: {_short(as_text(step.get('name')) or script)}", where)
                return None
        said = self._in_run(script, where)
        return f"{' '.join(words)} {shlex.quote(said)}"


def _known(env: object) -> dict[str, str]:
    """Variables with values that no expression is in."""
    return {
        str(name): literal(as_text(value)) for name, value in as_table(env).items() if "${{" not in as_text(value)
    }


def _shell_of(jobs: dict[str, Any], top: dict[str, Any]) -> bool:
    """Whether all steps name bash, which GitHub gives `-o pipefail` then."""
    default = as_table(as_table(top.get("defaults")).get("run")).get("shell")
    shells = set()
    for job in map(as_table, jobs.values()):
        of_job = as_table(as_table(job.get("defaults")).get("run")).get("shell", default)
        shells |= {
            as_table(step).get("shell", of_job) for step in as_list(job.get("steps")) if "run" in as_table(step)
        }
    return shells == {"bash"}


def _short(value: object) -> str:
    """A value of the workflow in a line."""
    text = " ".join(str(value if isinstance(value, dict | list) else as_text(value)).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
