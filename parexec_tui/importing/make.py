"""make: each target of a Makefile with a recipe that the wanted targets need becomes a ticket.

GNU make itself says what depends on what and what it would run, so pattern rules, variables and functions are those
that it knows. A ticket runs the recipe, not make.
"""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from parexec_tui.core.plan.units import format_count
from parexec_tui.importing.draft import Draft, literal, pattern, patterns
from parexec_tui.importing.formats import Wanted, file_of
from parexec_tui.importing.make_data import Line, MakeData, Rule, ask_make
from parexec_tui.importing.shell_words import in_own_shell

_NAMES: Final = ("GNUmakefile", "makefile", "Makefile")
_NAMED: Final = 8
"""Targets that are named in a warning."""

_NO_RULE = Rule((), (), False, (), "", ())
_SAYS_NOTHING = re.compile(r"[\s@+-]*\$[({](?:info|eval|warning|error)\s.*[)}]\s*")
"""A line of a recipe of which nothing is left to run."""

_FOLDER = re.compile(r"(mkdir (?:[^\s;&|<>()$`]+ *)+)(?:2> ?/dev/null *)?(?:\|\| (?:true|:))?")
"""What makes folders and does nothing else."""

_PREFIX = re.compile(r"[\s@+-]*")
_VARIABLE = re.compile(r"\$(?:\(([^\s():,$]+)\)|\{([^\s{}:,$]+)\}|([A-Za-z]))")
_MAY_GIVE_PREFIX = re.compile(r"\$[({](?:if|or|and|call|foreach)\s.*?[,\s]@?-[@\s)},]")
_DEEPEST: Final = 20
"""Variables within variables that are looked into."""

_DEPFILE = re.compile(r"-MF *(\S+)|-Wp,-MM?D,(\S+)")
_BESIDE = re.compile(r" -MM?D(?= |\Z)")
_OUTPUT = re.compile(r" -o *(\S+)")


def read(wanted: Wanted) -> Draft:
    """The plan of a Makefile. `parts`: targets. Raises ImportFault."""
    file = file_of(wanted.source, _NAMES)
    data = ask_make(file, wanted.parts)
    draft = Draft(f"Imported from {file.name} by `parexec import make`: make is not needed to run it.")
    draft.set_workdir(file.parent, wanted.folder)
    draft.tables["plan"]["shell"] = [literal(word) for word in data.shell]
    if data.is_serial:
        draft.tables["plan"]["parallel"] = 1
    draft.tables["defaults"]["up_to_date"] = True
    if data.env:
        draft.tables["defaults"]["env"] = {name: literal(value) for name, value in data.env.items()}
    importer = _Importer(data, draft, file)
    importer.take()
    importer.tell_of_makefiles()
    if not wanted.parts:
        importer.tell_of_others()
    return draft


class _Importer:
    def __init__(self, data: MakeData, draft: Draft, file: Path) -> None:
        self._data, self._draft, self._file = data, draft, file
        self._ids: dict[str, str] = {}
        """{target: the id of its ticket}"""

    def take(self) -> None:
        """Make a ticket of each target that has something to run."""
        wanted = self._wanted()
        recipes = {target: lines for target, lines in self._data.recipes.items() if target in wanted}
        for target in recipes:
            self._ids[target] = id_ = self._draft.fresh_id(target)
            self._draft.tickets[id_] = {}
        for target in recipes:
            for other in self._rule(target).also:
                self._ids.setdefault(other, self._ids[target])
        for target, lines in recipes.items():
            self._draft.tickets[self._ids[target]] = self._ticket(target, lines)

    def _wanted(self) -> set[str]:
        """The goals and all that they depend on. Make asks for its makefiles beside them."""
        wanted: set[str] = set()
        left = list(self._data.goals)
        while left:
            name = left.pop()
            if name not in wanted:
                wanted.add(name)
                rule = self._rule(name)
                left += (*rule.needs, *rule.order_only, *rule.also)
        return wanted

    def tell_of_makefiles(self) -> None:
        """Say which makefiles are not there, since make would make them first: what they say is not known."""
        folder = self._file.parent
        missing = [name for name in self._data.recipes if name not in self._ids and not (folder / name).exists()]
        if missing:
            self._draft.leave_out(
                (),
                f"what makefiles say that make would make first ({_listed(missing)}): let it make them, for instance "
                f"`make {shlex.quote(missing[0])}`, and import again",
                self._rule(missing[0]).where,
            )

    def tell_of_others(self) -> None:
        """Say which targets are made only if they are named."""
        others = [
            name
            for name, rule in self._data.rules.items()
            if rule.is_phony and rule.raw and name not in self._data.recipes
        ]
        if others:
            self._draft.leave_out(
                (),
                f"{format_count(len(others), 'target')} that make takes only by name: {_listed(others)}; "
                f"`parexec import make {shlex.quote(self._file.name)} TARGET` takes one",
            )

    def _rule(self, target: str) -> Rule:
        return self._data.rules.get(target, _NO_RULE)

    def _ticket(self, target: str, lines: list[Line]) -> dict[str, object]:
        rule = self._rule(target)
        own = self._ids[target]
        place = ("tickets", own)
        ticket: dict[str, object] = {}
        sources = _Sources()
        self._follow(rule.needs, sources)
        order = _Sources()
        self._follow(rule.order_only, order)
        if needs := [id_ for id_ in sources.ids if id_ != own]:
            ticket["needs"] = needs
        if after := [id_ for id_ in order.ids if id_ != own and id_ not in needs]:
            ticket["after"] = after
        always = "its target is phony" if rule.is_phony else sources.always
        if any(line.runs_make for line in lines):
            always = "nobody knows what make reads and writes there"
            self._draft.leave_out(
                place, "it runs make itself, as one ticket: import that Makefile by itself", rule.where
            )
        if self._only_makes_folder(target, lines):
            ticket["skip_if"] = literal(f"test -d {shlex.quote(target)}")
        elif always:
            self._draft.comment((*place, "up_to_date"), f"make runs it each time: {always}")
            ticket["up_to_date"] = False
        else:
            self._set_files(ticket, (target, *rule.also), sources.files, rule, place)
            depfile = _depfile(lines)
            if depfile and "reads" in ticket:
                ticket["depfile"] = literal(depfile)
        ticket["run"] = command = literal(self._command(lines, rule, place))
        if not _is_utf_8(command):
            self._draft.leave_out(
                place, "bytes that are not UTF-8, which no plan can have: \ufffd stands there", rule.where
            )
        return ticket

    def _set_files(
        self,
        ticket: dict[str, object],
        targets: tuple[str, ...],
        sources: Iterable[str],
        rule: Rule,
        place: tuple[str, str],
    ) -> None:
        reads = []
        for path in sources:
            if (self._file.parent / path).is_dir():
                self._draft.leave_out(place, f"the folder {path}: when it changed is not looked at", rule.where)
            elif pattern(path) is None:
                self._draft.leave_out(place, f"no pattern can say the path {path!r}", rule.where)
            else:
                reads.append(path)
        if reads:
            ticket["reads"] = patterns(reads)
        if writes := patterns(targets):
            ticket["writes"] = writes

    def _follow(self, names: Iterable[str], into: "_Sources", seen: frozenset[str] = frozenset()) -> None:
        """What stands behind prerequisites: files, tickets, and why make would take them as new each time."""
        for name in names:
            rule = self._data.rules.get(name)
            if name in self._ids:
                into.ids[self._ids[name]] = None
                if not self._rule(name).is_phony:
                    into.files[name] = None
                else:
                    into.always = into.always or f"it depends on {name}, which is phony"
            elif rule is None or name in seen:
                into.files[name] = None
            else:
                exists = (self._file.parent / name).exists() and not rule.is_phony
                if exists:
                    into.files[name] = None
                elif not rule.needs:
                    into.always = into.always or f"it depends on {name}, which is never there"
                self._follow((*rule.needs, *rule.order_only), into, seen | {name})

    def _only_makes_folder(self, target: str, lines: list[Line]) -> bool:
        """Whether this target is a folder that its recipe makes: what is in it is not its work."""
        made = [_FOLDER.fullmatch(line.text.strip()) for line in lines]
        return all(found and _bare(target) in map(_bare, found[1].split()) for found in made)

    def _command(self, lines: list[Line], rule: Rule, place: tuple[str, str]) -> str:
        texts = [line.text for line in lines]
        written = (line for line in rule.raw if not _SAYS_NOTHING.fullmatch(line))
        ignores = [self._may_fail(line, rule, place) for line in written]
        if ".ONESHELL" in self._data.rules:
            return "\n".join(texts)
        if len(ignores) != len(texts):
            if any(ignores):
                self._draft.leave_out(place, "a line that may fail (`-`), which one is not known", rule.where)
            ignores = [False] * len(texts)
        if ".IGNORE" in self._data.rules:
            ignores = [True] * len(texts)
        if len(texts) == 1 and not ignores[0]:
            return texts[0]
        return " &&\n".join(map(in_own_shell, texts, ignores))

    def _may_fail(self, line: str, rule: Rule, place: tuple[str, str]) -> bool:
        """Whether a `-` stands before a line, or comes out of a variable at its beginning."""
        for _ in range(_DEEPEST):
            prefix = _PREFIX.match(line)
            rest = line[prefix.end() :] if prefix else line
            if prefix and "-" in prefix[0]:
                return True
            variable = _VARIABLE.match(rest)
            if variable is None:
                if _MAY_GIVE_PREFIX.match(rest):
                    what = f"whether a line may fail (`-`) that begins with {rest.split()[0]}..."
                    self._draft.leave_out(place, what, rule.where)
                return False
            value = self._data.variables.get(variable[1] or variable[2] or variable[3], "")
            line = value + rest[variable.end() :]
        return False


class _Sources:
    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.ids: dict[str, None] = {}
        self.always = ""


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _bare(word: str) -> str:
    return word.rstrip("/")


def _depfile(lines: list[Line]) -> str:
    """Where the compiler of a recipe says what it read; empty if it does not."""
    for line in lines:
        if found := _DEPFILE.search(line.text):
            name = found[1] or found[2]
            moved = (re.search(rf"\bmv (?:-f )?{re.escape(name)} (\S+)", each.text) for each in lines)
            return next((each[1] for each in moved if each), name)
        output = _OUTPUT.search(line.text)
        if output and _BESIDE.search(line.text):
            return f"{output[1].rpartition('.')[0] or output[1]}.d"
    return ""
