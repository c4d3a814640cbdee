"""just: the recipes of a justfile that are wanted, and what they depend on, become tickets.

just itself says what is in the file. What a plan cannot say of a recipe lets its ticket run this one recipe by just.
"""

import re
import shlex
from pathlib import Path
from typing import Any, Final

from parexec_tui.core.plan.units import format_count
from parexec_tui.importing.draft import Draft, ImportFault, literal
from parexec_tui.importing.formats import Wanted, file_of
from parexec_tui.importing.just_data import Dependency, JustData, Parameter, Recipe, ask_just
from parexec_tui.importing.just_terms import Scope, Unsaid, joined, shell_name, text, word
from parexec_tui.importing.ordering import follow
from parexec_tui.importing.shell_words import in_own_shell, in_single_quotes

_NAMES: Final = ("justfile", ".justfile", "Justfile", "JUSTFILE")
_NAMED: Final = 8
"""Recipes that are named in a warning."""

_NAMES_IN: Final = re.compile(r"\{(\w+)(?=\}|!)")

_SHELLS: Final = frozenset({"ash", "bash", "dash", "ksh", "sh", "zsh"})
_SAID: Final = frozenset(
    {"confirm", "default", "doc", "env", "exit-message", "extension", "group", "metadata", "no-cd", "no-exit-message"}
    | {"no-quiet", "parallel", "private", "script", "working-directory"}
    | {"android", "dragonfly", "freebsd", "linux", "macos", "netbsd", "openbsd", "unix", "windows"}
)
"""Attributes that are carried over, or mean nothing in a plan."""

Given = tuple[tuple[str, str], ...]
"""Arguments: of each its text, empty if there is none, and its word of the shell."""


def read(wanted: Wanted) -> Draft:
    """The plan of a justfile. `parts`: recipes; without one, that which just takes then. Raises ImportFault."""
    file = file_of(wanted.source, _NAMES)
    data = ask_just(file)
    draft = Draft(f"Imported from {file.name} by `parexec import just`.")
    draft.set_workdir(file.parent, wanted.folder)
    importer = _Importer(data, draft, file)
    importer.take(wanted.parts)
    return draft


class _Importer:
    def __init__(self, data: JustData, draft: Draft, file: Path) -> None:
        self._data, self._draft, self._file = data, draft, file
        self._scope: dict[str, str | None] = {}
        self._shell: dict[str, str] = {}
        """{variable of the shell: its value, as a word}"""
        self._made: dict[tuple[str, Given], list[str]] = {}
        self._of_parameters: set[str] = set()
        self._wanted: dict[str, str] = {}
        """{variable of the plan that has to be given: the recipe that wants it}"""
        shell = data.settings.get("shell") or {"command": "sh", "arguments": ["-cu"]}
        self._shell_words = [shell["command"], *shell["arguments"]]
        self._has_shell = Path(shell["command"]).name in _SHELLS

    def take(self, parts: tuple[str, ...]) -> None:
        """Make tickets of these recipes, or of the default one, and of what they depend on. Raises ImportFault."""
        data, draft = self._data, self._draft
        if self._has_shell:
            draft.tables["plan"]["shell"] = [literal(each) for each in self._shell_words]
        for name in data.assignments:
            self._assign(name, ())
        self._export()
        if any(data.settings.get(key) for key in ("dotenv_load", "dotenv_filename", "dotenv_path")):
            name = data.settings.get("dotenv_path") or data.settings.get("dotenv_filename") or ".env"
            draft.tables["defaults"]["env_file"] = [draft.env_file(name)]
        by_name = {name: recipe for name, recipe in data.recipes.items() if recipe.attribute("default")}
        default = next(iter(by_name), data.first)
        if not parts and default is None:
            raise ImportFault(str(self._file), "it has no recipe")
        for part in parts or (str(default),):
            name = data.aliases[part]["target"] if part in data.aliases else part
            if name not in data.recipes:
                names = ", ".join(each for each, recipe in data.recipes.items() if not recipe.private)
                raise ImportFault(str(self._file), f"it has no recipe {part!r}: name one of {names}")
            self._make(name, ())
        for ticket in draft.tickets.values():
            ticket["run"] = ticket.pop("run")
        if not parts:
            self._tell_of_others()

    def _tell_of_others(self) -> None:
        made = {name for name, _ in self._made}
        others = [name for name, recipe in self._data.recipes.items() if name not in made and not recipe.private]
        if others or self._data.modules:
            names = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
            what = [f"{format_count(len(others), 'recipe')} that just takes only by name: {names}"] * bool(others)
            what += [f"module {name}" for name in self._data.modules]
            ask = f"`parexec import just {shlex.quote(self._file.name)} RECIPE` takes one"
            self._draft.leave_out((), f"{', '.join(what)}; {ask}")

    def _assign(self, name: str, above: tuple[str, ...]) -> None:
        """Let a variable of the file be one of the plan, or else of the shell."""
        if name in self._scope or name in above:
            return
        value = self._data.assignments[name].value
        for other in _variables(value):
            if other in self._data.assignments:
                self._assign(other, (*above, name))
        try:
            said = text(value, self._scope)
        except Unsaid:
            self._scope[name] = None
            try:
                self._shell[shell_name(name)] = word(value, self._scope)
            except Unsaid:
                command = f"just --justfile {shlex.quote(self._file.name)} {self._sets(value)}--evaluate {name}"
                self._shell[shell_name(name)] = f'"$({command})"'
        else:
            self._draft.tables["vars"][shell_name(name)] = said
            self._scope[name] = f"{{{shell_name(name)}}}"

    def _export(self) -> None:
        all_ = bool(self._data.settings.get("export"))
        exported = [name for name, each in self._data.assignments.items() if all_ or each.export]
        if said := {shell_name(name): value for name in exported if (value := self._scope[name]) is not None}:
            self._draft.tables["defaults"]["env"] = said
        self._exports = [shell_name(name) for name in exported if self._scope[name] is None]

    def _sets(self, value: Any) -> str:
        """What just itself is to be told of the variables that an expression or a recipe uses."""
        seen: dict[str, None] = {}
        waiting = [*_variables(value)]
        while waiting:
            name = waiting.pop()
            if name in self._data.assignments and name not in seen:
                seen[name] = None
                waiting += _variables(self._data.assignments[name].value)
        named = {name: self._scope.get(name) for name in sorted(seen)}
        return "".join(f"--set {name} {said[:-1]}!q}} " for name, said in named.items() if said)

    def _make(self, name: str, given: Given) -> list[str]:
        """The tickets after whose success a recipe has succeeded."""
        key = (name, given)
        if key not in self._made:
            self._made[key] = []
            self._made[key] = self._tickets(name, given)
        return self._made[key]

    def _tickets(self, name: str, given: Given) -> list[str]:
        if name not in self._data.recipes:
            return self._of_module(name, given)
        recipe = self._data.recipes[name]
        scope, shell = self._bind(recipe, given)
        calls = [self._call(dependency, scope) for dependency in recipe.dependencies]
        before: list[str] = []
        for call in calls[: recipe.priors]:
            found = self._make(*call)
            is_parallel = bool(recipe.attribute("parallel"))
            before = [*before, *found] if is_parallel else follow(self._draft, found, before)
        if recipe.body:
            id_ = self._draft.fresh_id("-".join((name, *(said for said, _ in given))))
            ticket: dict[str, Any] = {}
            self._draft.tickets[id_] = ticket
            if before:
                ticket["needs"] = list(dict.fromkeys(before))
            self._fill(ticket, ("tickets", id_), recipe, given, scope, shell)
            before = [id_]
        for call in calls[recipe.priors :]:
            before = follow(self._draft, self._make(*call), before)
        return before

    def _of_module(self, name: str, given: Given) -> list[str]:
        id_ = self._draft.fresh_id(name.replace("::", "-"))
        ticket: dict[str, Any] = {}
        self._draft.tickets[id_] = ticket
        self._by_just(ticket, ("tickets", id_), name, given, f"{name} is in a module", "")
        return [id_]

    def _bind(self, recipe: Recipe, given: Given) -> tuple[dict[str, str | None], dict[str, str]]:
        """What its names stand for, and the words of those that are variables of the shell."""
        scope, shell = dict(self._scope), dict(self._shell)
        for at, parameter in enumerate(recipe.parameters):
            values = given[at:] if parameter.kind != "singular" else given[at : at + 1]
            if values:
                said: str | None = " ".join(each for each, _ in values)
                if any(not each and each_word != "''" for each, each_word in values):
                    said, shell[shell_name(parameter.name)] = None, " ".join(each for _, each in values)
            else:
                said = self._default(recipe, parameter, scope, shell)
            scope[parameter.name] = said
        return scope, shell

    def _default(self, recipe: Recipe, parameter: Parameter, scope: Scope, shell: dict[str, str]) -> str | None:
        """A parameter that nobody gives: a variable of the plan."""
        try:
            value = "" if parameter.default is None else text(parameter.default, scope)
        except Unsaid:
            try:
                shell[shell_name(parameter.name)] = word(parameter.default, scope)
            except Unsaid:
                shell[shell_name(parameter.name)] = ""
            return None
        known = self._draft.tables["vars"]
        name = shell_name(parameter.name)
        if name in known and not (name in self._of_parameters and known[name] == value):
            name = shell_name(f"{recipe.name}_{name}")
        if parameter.default is None and parameter.kind != "star" and name not in known:
            what = f"recipe {recipe.name} wants {parameter.name}: put it here, or `--set {name}=...`"
            self._draft.leave_out(("vars", name), what)
            self._wanted[name] = recipe.name
        known[name] = value
        self._of_parameters.add(name)
        return f"{{{name}}}"

    @staticmethod
    def _call(dependency: Dependency, scope: Scope) -> tuple[str, Given]:
        given = []
        for argument in dependency.arguments:
            try:
                said, its_word = text(argument, scope), word(argument, scope)
            except Unsaid:
                try:
                    said, its_word = "", word(argument, scope)
                except Unsaid:
                    said, its_word = "", ""
            given.append((said, its_word))
        return dependency.recipe, tuple(given)

    def _fill(
        self,
        ticket: dict[str, Any],
        place: tuple[str, ...],
        recipe: Recipe,
        given: Given,
        scope: dict[str, str | None],
        shell: dict[str, str],
    ) -> None:
        doc = recipe.attribute("doc")
        if doc := doc if isinstance(doc, str) else recipe.doc:
            ticket["title"] = literal(doc)
        if recipe.attribute("confirm"):
            ticket["approve"] = "before"
        folder = recipe.attribute("working-directory") or self._data.settings.get("working_directory")
        if isinstance(folder, str):
            ticket["cwd"] = literal(folder)
        for each in recipe.attributes:
            name = each if isinstance(each, str) else next(iter(each))
            if name not in _SAID:
                self._draft.leave_out(place, f"[{name}] of recipe {recipe.name}")
        if env := self._env(recipe, scope):
            ticket["env"] = env
        try:
            ticket["run"] = self._run(recipe, scope, shell)
        except Unsaid as unsaid:
            sets = self._sets([recipe.body, [parameter.default for parameter in recipe.parameters]])
            self._by_just(ticket, place, recipe.name, given, str(unsaid), sets)
            ticket.pop("env", None)
        self._refuse_without(ticket)

    def _refuse_without(self, ticket: dict[str, Any]) -> None:
        """Let a command fail before it does anything, if a variable is empty that has to be given, as just does."""
        texts = [ticket["run"], *ticket.get("env", {}).values()]
        used: dict[str, None] = {}
        for said in texts:  # it grows meanwhile
            new = [name for name in _NAMES_IN.findall(said) if name not in used]
            used.update(dict.fromkeys(new))
            texts += [self._draft.tables["vars"][name] for name in new if name in self._draft.tables["vars"]]
        checks = [
            f"if [ -z {{{name}!q}} ]; then "
            f"echo 'recipe {self._wanted[name]} wants {name}: --set {name}=...' >&2; exit 2; fi"
            for name in used
            if name in self._wanted
        ]
        ticket["run"] = "\n".join((*checks, ticket["run"]))

    def _env(self, recipe: Recipe, scope: Scope) -> dict[str, str]:
        all_ = bool(self._data.settings.get("export"))
        env = {
            shell_name(parameter.name): said
            for parameter in recipe.parameters
            if (all_ or parameter.export) and (said := scope[parameter.name]) is not None
        }
        match recipe.attribute("env"):
            case [str(name), str(value)]:
                env[name] = literal(value)
            case _:
                pass
        return env

    def _by_just(
        self, ticket: dict[str, Any], place: tuple[str, ...], name: str, given: Given, why: str, sets: str
    ) -> None:
        """Let a ticket run one recipe by just itself."""
        words = [each for _, each in given]
        if name in self._data.recipes:
            parameters = self._data.recipes[name].parameters[len(given) :]
            said = [self._bind(self._data.recipes[name], given)[0][each.name] for each in parameters]
            words += [f"{each[:-1]}!q}}" for each in said if each]
        if "" in words:
            self._draft.leave_out(place, f"an argument of {name}: put it there")
        alone = "" if "::" in name else "--no-deps "
        asks = "--yes " if "approve" in ticket else ""
        command = f"just --justfile {shlex.quote(self._file.name)} {asks}{alone}{sets}{name}"
        ticket["run"] = " ".join((command, *filter(None, words)))
        ticket["requires_commands"] = ["just"]
        ticket.pop("cwd", None)
        self._draft.comment(place, f"just itself runs this recipe: {why}")
        self._draft.warnings.append(f"{self._file.name}: just itself runs recipe {name}: {why}")

    def _run(self, recipe: Recipe, scope: Scope, shell: dict[str, str]) -> str:
        """Raises Unsaid, with what cannot be said."""
        if not self._has_shell:
            raise Unsaid(f"its shell is {self._shell_words[0]}")
        if recipe.shebang:
            return "\n".join((*self._head("", shell), *self._script(recipe, scope)))
        positional = self._data.settings.get("positional_arguments") or recipe.attribute("positional-arguments")
        if positional and any("$" in each for line in recipe.body for each in line if isinstance(each, str)):
            raise Unsaid("it may use positional arguments, $1")
        lines: list[str] = []
        continues = False
        for fragments in recipe.body:
            said = self._line(fragments, scope, is_run=True)
            if continues:
                lines[-1] = lines[-1][:-1] + said.lstrip()
            elif said.lstrip().startswith("#"):
                continue
            else:
                lines.append(said)
            continues = lines[-1].endswith("\\")
        texts, ignores = [], []
        for line in filter(str.strip, lines):
            bare = line.lstrip().lstrip("@-")
            if self._data.settings.get("guards") and bare.startswith("?"):
                raise Unsaid("a line with ?")
            texts.append(bare)
            ignores.append("-" in line.lstrip()[: len(line.lstrip()) - len(bare)])
        head = self._head("\n".join(texts), shell)
        if len(texts) == 1 and not ignores[0]:
            return "\n".join((*head, texts[0]))
        return "\n".join((*head, " &&\n".join(map(in_own_shell, texts, ignores)))) or "true"

    def _head(self, body: str, shell: dict[str, str]) -> list[str]:
        """The variables of the shell that a command uses, set at its beginning."""
        used: dict[str, None] = {}
        waiting = [body, *(f"${{{name}}}" for name in self._exports)]
        while waiting:
            now = waiting.pop()
            for name in shell:
                if f"${{{name}}}" in now and name not in used:
                    used[name] = None
                    waiting.append(shell[name])
        ordered = [name for name in shell if name in used]
        return [f"{name}={shell[name]} &&" for name in ordered] + [
            f"export {name} &&" for name in self._exports if name in used
        ]

    def _script(self, recipe: Recipe, scope: Scope) -> list[str]:
        """A recipe in a language of its own: its file, written when it runs."""
        lines = [self._line(fragments, scope, is_run=False) for fragments in recipe.body]
        match recipe.attribute("script"):
            case {"command": str(command), "arguments": list(arguments)}:
                start = shlex.join([command, *map(str, arguments)]) + ' "$recipe"'
            case None:
                start = '"$recipe"'
            case _:
                raise Unsaid("just does not tell the interpreter of [script]")
        end = "END"
        while end in lines:
            end += "_"
        extension = recipe.attribute("extension")
        suffix = extension if isinstance(extension, str) else ""
        make = f"recipe=$(mktemp --suffix={shlex.quote(suffix)})" if suffix else "recipe=$(mktemp)"
        return [
            make,
            "trap 'rm -f \"$recipe\"' EXIT",
            f"cat > \"$recipe\" <<'{end}'",
            *lines,
            end,
            'chmod +x "$recipe"',
            start,
        ]

    def _line(self, fragments: list[Any], scope: Scope, *, is_run: bool) -> str:
        parts: list[str] = []
        for fragment in fragments:
            if isinstance(fragment, str):
                parts.append(literal(fragment.replace("{{{{", "{{")))
                continue
            is_quoted = in_single_quotes("".join(parts))
            for expression in fragment:
                try:
                    parts.append(text(expression, scope, is_run=is_run and not is_quoted))
                except Unsaid:
                    raise Unsaid(f"a plan cannot say {_shown(expression)}") from None
        try:
            return joined(parts)
        except Unsaid:
            raise Unsaid("braces beside braces") from None


def _variables(expression: Any) -> list[str]:
    """The names that an expression uses."""
    match expression:
        case ["variable", str(name)]:
            return [name]
        case list():
            return [name for each in expression for name in _variables(each)]
        case _:
            return []


def _shown(expression: Any) -> str:
    match expression:
        case ["variable", str(name)]:
            return f"{{{{{name}}}}}"
        case ["call", str(name), *_]:
            return f"{{{{{name}(...)}}}}"
        case ["if", *_]:
            return "{{if ...}}"
        case ["evaluate", str(command)]:
            return f"`{command}` in quotes"
        case _:
            return "{{...}}"
