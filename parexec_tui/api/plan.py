"""A plan, made in Python or read from a file."""

import copy
import json
import keyword
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import tomli
from msgspec.structs import replace

from parexec_tui.api.errors import PlanError
from parexec_tui.api.values import ValueFault, plain
from parexec_tui.client import plan_files
from parexec_tui.core.plan.expanding.given import Given
from parexec_tui.core.plan.expanding.including import PlanText
from parexec_tui.core.plan.model import Plan as CheckedPlan
from parexec_tui.core.plan.model import Selection
from parexec_tui.core.plan.reading.faults import Hints
from parexec_tui.core.plan.reading.file import PlanErrors, ReadPlan
from parexec_tui.core.plan.reading.problems import Problem, dotted
from parexec_tui.engine.measure import monitor

if TYPE_CHECKING:
    from typing import Unpack

    from parexec_tui.api.events import Event
    from parexec_tui.api.keys import (
        AgentKeys,
        DefaultKeys,
        FamilyKeys,
        GroupKeys,
        HooksKeys,
        HostSpecKeys,
        OtelKeys,
        PressureKeys,
        SecretSourceKeys,
        ServiceKeys,
        SettingKeys,
        TicketKeys,
    )
    from parexec_tui.api.result import Result
    from parexec_tui.api.session import Session
    from parexec_tui.core.plan.plan_settings import Parallel

Variable = str | int | float | bool | Sequence[str | int | float | bool]
"""What a variable may be."""

_NAME = "plan"
"""What a plan that was made here and has no name is called."""


class _Place(NamedTuple):
    """Where something was said: a line of a program, or a file."""

    file: str
    line: int = 1


class Plan:
    """A plan: tickets, what they need and claim, and the agents that run them.

    The keys are those of a plan file (`parexec help plan-file`); one that is a word of Python has a `_` at its end:
    `finally_`. A key with the value None is as if it were not there. Each mistake is found by the reader of plan
    files, when the plan is checked, saved or run.
    """

    def __init__(self, **settings: "Unpack[SettingKeys]") -> None:
        """`settings`: the keys of `[plan]`. Paths are seen from the folder that is the current one now."""
        self._written: PlanText | dict[str, Any] = {}
        self._folder = Path.cwd()
        self._file: Path | None = None
        self._given: Given | None = None
        """None: what the environment says."""
        self._places: dict[str, _Place] = {}
        """{dotted key of a table: where it was said last}"""
        self._read_plan: ReadPlan | None = None
        """As it was read last; None: it has changed since."""
        self._made = _caller(1)
        self._put(("plan",), settings)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        vars: Mapping[str, Variable] | None = None,  # noqa: A002 - as the table is called
        profile: str = "",
    ) -> Self:
        """The plan in a file. `vars`: values of its variables, in place of those of `[vars]`; `profile`: the name of
        one of its `[profiles]`. Raises PlanError with every mistake in it, OSError."""
        file = Path(path)
        given = plan_files.given_here(profile, {name: _as_typed(value) for name, value in (vars or {}).items()})
        with _plan_errors():
            found = plan_files.open_plan_file(file, monitor.host(), given)
        text = found.read.texts.files[-1]
        plan = cls.__new__(cls)
        plan._written = text
        plan._folder = file.absolute().parent
        plan._file = file.absolute()
        plan._given = given
        plan._places = {}
        plan._made = _Place(str(file))
        plan._read_plan = found.read._replace(plan=found.plan)
        return plan

    # -- tickets -------------------------------------------------------------------------------------------------

    def add(self, id: str, /, **keys: "Unpack[TicketKeys]") -> str:  # noqa: A002
        """Add a ticket, or with `matrix` or `foreach` a family of tickets; returns its id, for `needs` of others.

        Raises PlanError if there is one with this id already.
        """
        if id in self._document.get("tickets", {}):
            raise self._error(("tickets", id), "this ticket is there already", "change() changes it", _caller(1))
        self._put(("tickets", id), keys)
        return id

    def change(self, id: str, /, **keys: "Unpack[TicketKeys]") -> None:  # noqa: A002
        """Change keys of a ticket; None removes one. Raises PlanError if there is no such ticket."""
        self._check_is_there(id, _caller(1))
        self._put(("tickets", id), keys)

    def remove(self, id: str, /) -> None:  # noqa: A002
        """Remove a ticket or a family. Raises PlanError if there is no such ticket."""
        self._check_is_there(id, _caller(1))
        del self._document["tickets"][id]
        self._read_plan = None

    @property
    def tickets(self) -> dict[str, dict[str, Any]]:
        """The keys of each ticket and each family, by id, as they were written: a copy."""
        return copy.deepcopy(self._document.get("tickets", {}))

    # -- the other tables ----------------------------------------------------------------------------------------

    def defaults(self, **keys: "Unpack[DefaultKeys]") -> None:
        """Values for tickets that do not have their own: `[defaults]`."""
        self._put(("defaults",), keys)

    def agent(self, name: str, /, **keys: "Unpack[AgentKeys]") -> None:
        """An agent type: `[agents.NAME]`."""
        self._put(("agents", name), keys)

    def resource(self, name: str, amount: float | str | Sequence[str | int], /) -> None:
        """How much there is of a resource, or which units of it: `[resources]`."""
        self._put(("resources",), {name: amount})

    def host(self, name: str, /, **keys: "Unpack[HostSpecKeys]") -> None:
        """Another machine on which agents run: `[hosts.NAME]`."""
        self._put(("hosts", name), keys)

    def secret(self, name: str, /, **keys: "Unpack[SecretSourceKeys]") -> None:
        """Where a secret comes from: `[secrets]`."""
        self._put(("secrets", name), keys)

    def service(self, name: str, /, **keys: "Unpack[ServiceKeys]") -> None:
        """What runs beside the tickets that use it: `[services.NAME]`."""
        self._put(("services", name), keys)

    def group(self, name: str | int, /, **keys: "Unpack[GroupKeys]") -> None:
        """The gates of the tickets that name a group: `[group.NAME]`; or, by number, of a dependency group:
        `[groups.N]`."""
        self._put(("group" if isinstance(name, str) else "groups", str(name)), keys)

    def family(self, name: str, /, **keys: "Unpack[FamilyKeys]") -> None:
        """The limits of a family whose tickets were added one by one: `[families.NAME]`."""
        self._put(("families", name), keys)

    def settings(self, **keys: "Unpack[SettingKeys]") -> None:
        """What holds for the plan as a whole: `[plan]`."""
        self._put(("plan",), keys)

    def hooks(self, **keys: "Unpack[HooksKeys]") -> None:
        """Commands that are run when something happens: `[hooks]`."""
        self._put(("hooks",), keys)

    def pressure(self, **keys: "Unpack[PressureKeys]") -> None:
        """When the host counts as pressed: `[pressure]`."""
        self._put(("pressure",), keys)

    def otel(self, **keys: "Unpack[OtelKeys]") -> None:
        """Whether and where the session is told to OpenTelemetry: `[otel]`."""
        self._put(("otel",), keys)

    def variables(self, **values: Variable) -> None:
        """Variables, for which `{name}` stands in texts: `[vars]`."""
        self._put(("vars",), values)

    def profile(self, name: str, /, **values: Variable) -> None:
        """Other values of variables: `[profiles.NAME]`."""
        self._put(("profiles", name), values)

    def include(self, *files: str | os.PathLike[str]) -> None:
        """Files that the plan begins with, seen from its folder: `include`."""
        self._put((), {"include": [*self._document.get("include", ()), *files]})

    # -- as a whole ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises PlanError with every mistake in the plan, as `parexec validate` would find them."""
        self._read()

    @property
    def expanded(self) -> "Plan":
        """The plan as it will run: its variables filled in, its families ticket by ticket. Raises PlanError."""
        plan = Plan()
        plan._written = copy.deepcopy(self._read().document)
        plan._folder = self._folder
        plan._made = self._made
        return plan

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the plan to a file, as TOML, or as JSON if its name ends so; a file that is there is replaced, with
        its comments, and stays as it is if that fails. Paths of the plan are then seen from the folder of the file.
        Raises PlanError, OSError."""
        from parexec_tui.report.formats import WriteError
        from parexec_tui.report.writing import write_file

        self.check()
        file = Path(path)
        if file.suffix == ".json":
            text = json.dumps(self._document, indent=2, ensure_ascii=False) + "\n"
        else:
            text = str(self)
        try:
            write_file(file, [text.encode()], replaces=True)
        except WriteError as error:
            raise error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)) from None

    # -- its sessions --------------------------------------------------------------------------------------------

    def start(
        self,
        *tickets: str,
        only: Sequence[str] = (),
        from_: Sequence[str] = (),
        except_: Sequence[str] = (),
        hold: bool = False,
        fail_fast: bool | None = None,
        parallel: "Parallel | None" = None,
        force: bool = False,
        beside: bool = False,
    ) -> "Session":
        """Start an engine for it in a process of its own, which goes on without this program, as `parexec run
        --detach` does: for all tickets, or for those that are named and what they need.

        `tickets`, `only`, `from_`, `except_`: ids, patterns and selectors; the other options are those of `parexec
        run`. Raises PlanError, also if this machine has not what the plan requires; SessionError, OSError.
        """
        from parexec_tui.api import running

        plan = self._chosen(Selection(tickets, tuple(only), tuple(from_), tuple(except_)), parallel)
        return running.start(plan, hold=hold, fail_fast=fail_fast, force=force, beside=beside)

    def run(
        self,
        *tickets: str,
        only: Sequence[str] = (),
        from_: Sequence[str] = (),
        except_: Sequence[str] = (),
        tell: "Callable[[Event], object] | None" = None,
        fail_fast: bool | None = None,
        parallel: "Parallel | None" = None,
        force: bool = False,
        beside: bool = False,
    ) -> "Result":
        """Run it to its end; arguments as for `start`. `tell` is called with each event.

        The engine is a process of its own, so any event loop may run in this one. The session is stopped if this
        program dies, or if `tell` raises. ctrl-c drains it, a second one stops it, a third one kills what runs, and
        KeyboardInterrupt is raised once the engine has left. Raises as `start` does, and SessionError if the engine
        is lost.
        """
        from parexec_tui.api import running

        plan = self._chosen(Selection(tickets, tuple(only), tuple(from_), tuple(except_)), parallel)
        return running.run(plan, tell, fail_fast=fail_fast, force=force, beside=beside)

    def _chosen(self, wanted: Selection, parallel: "Parallel | None") -> CheckedPlan:
        """The tickets to run. Raises PlanError if there are none, or if this machine has not what they require."""
        from parexec_tui.core.plan.requirements import requires_something
        from parexec_tui.core.wire.selection import choose
        from parexec_tui.core.wire.selectors import SelectorError
        from parexec_tui.engine.backends.local.unmet import unmet

        read = self._read()
        plan = read.plan
        if wanted:
            try:
                plan = choose(plan, wanted).plan
            except SelectorError as error:
                raise PlanError([], f"{error}; nothing was started") from None
        if requires_something(plan) and (faults := list(unmet(plan))):
            raise PlanError([self._placed(each) for each in read.problems(faults)])
        return replace(plan, own_parallel=parallel)

    def __str__(self) -> str:
        """The plan as a TOML file, whether or not it has mistakes."""
        return plan_files.as_toml(self._document)

    def __repr__(self) -> str:
        name = self._document.get("plan", {}).get("name") or (self._file.name if self._file else _NAME)
        return f"<Plan {name}: {len(self._document.get('tickets', ()))} in [tickets]>"

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, in the order in which they say it; where their files are does not matter."""
        if not isinstance(other, Plan):
            return NotImplemented
        return self._said() == other._said()

    # -- below ---------------------------------------------------------------------------------------------------

    @property
    def _document(self) -> dict[str, Any]:
        """The tables as they were written. A file is parsed only if somebody asks: a large one takes long."""
        if isinstance(self._written, PlanText):
            text = self._written.text.removeprefix("\ufeff")
            self._written = json.loads(text) if self._written.format == "json" else tomli.loads(text)
        return self._written

    def _said(self) -> tuple[Any, list[str]]:
        return self._document, list(self._document.get("tickets", ()))

    def _put(self, path: tuple[str, ...], keys: Mapping[str, Any]) -> None:
        """Set keys of a table. None removes one."""
        place = _caller(2)
        values: dict[str, Any] = {}
        for key, value in keys.items():
            name = _key(key)
            try:
                values[name] = None if value is None else plain(value, (*path, name))
            except ValueFault as wrong:
                raise self._error(wrong.fault.path, wrong.fault.message, wrong.fault.hint, place) from None
        if not values and path == ("plan",):
            return
        table = self._document
        for part in path:
            table = table.setdefault(part, {})
        for name, value in values.items():
            if value is None:
                table.pop(name, None)
            else:
                table[name] = value
        self._places[dotted(path)] = place
        self._read_plan = None

    def _check_is_there(self, id_: str, place: _Place) -> None:
        if id_ not in self._document.get("tickets", {}):
            hint = Hints(self._document.get("tickets", {})).of(id_)
            raise self._error(("tickets", id_), "there is no such ticket", hint, place)

    def _error(self, path: Iterable[str | int], message: str, hint: str, place: _Place) -> PlanError:
        return PlanError([Problem(place.file, place.line, 1, dotted(tuple(path)), message, hint)])

    def _read(self) -> ReadPlan:
        """The plan, checked. Raises PlanError."""
        if self._read_plan is None:
            text = PlanText(self._text_name, json.dumps(self._document), "json")
            with _plan_errors(self._placed):
                read = plan_files.read_plan_text(text, self._folder, monitor.host(), self._given)
            # It stands in no file, so it cannot be read again from one.
            self._read_plan = read._replace(plan=replace(read.plan, source=plan_files.FROM_STREAM))
        return self._read_plan

    @property
    def _is_as_in_file(self) -> bool:
        """Whether it was read from its file and has not changed since."""
        return self._read_plan is not None and self._read_plan.plan.source != plan_files.FROM_STREAM

    @property
    def _text_name(self) -> str:
        return self._made.file if self._file else _NAME

    def _placed(self, problem: Problem) -> Problem:
        """A mistake, with the line of the program that said so; one in a file stays where it is."""
        if problem.source != self._text_name or self._is_as_in_file:
            return problem
        key = problem.key
        while key and key not in self._places:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        place = self._places.get(key, self._made)
        return replace(problem, source=place.file, line=place.line, column=1)


def _caller(above: int) -> _Place:
    """The line of the program that called us, so many calls above who asks."""
    frame = sys._getframe(above + 1)
    return _Place(frame.f_code.co_filename, frame.f_lineno)


def _key(name: str) -> str:
    """A key by its name in Python: `finally_` is `finally`."""
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name


def _as_typed(value: Variable) -> str:
    """A value of a variable as a person would type it."""
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def _plan_errors(placed: Callable[[Problem], Problem] = lambda problem: problem) -> Iterator[None]:
    """Raise what is wrong with a plan as a PlanError."""
    try:
        yield
    except PlanErrors as errors:
        raise PlanError([placed(problem) for problem in errors.problems]) from None
    except plan_files.PlanFileError as error:
        raise PlanError([], str(error).replace(": --set ", ": vars: ", 1)) from None
